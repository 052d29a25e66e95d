"""What the page of noise in training shows, computed once for all sessions: masks, their mean, blocks, augmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.jobs import studies
from app.pickers import controls
from app.session import networks, shared
from app.session.cache import picture_cache
from app.session.networks import Choice, Network
from app.url import address

if TYPE_CHECKING:
    from cnnviz.studies.noise.augmentation import AugmentedImage, TurnedAnswers
    from cnnviz.studies.noise.blocks import BlocksRemoved, RandomDepths
    from cnnviz.studies.noise.drop_connect import LayerWindow
    from cnnviz.studies.noise.dropout import DropoutLayer, DropoutPasses
    from cnnviz.studies.noise.evidence import ClassEvidence

SHOWN = 12  # masks that are shown one by one
IMAGES = 64  # of the corpus "samples", over which answers are compared
QUICK = 40_000  # pixels in all passes together that need no job


def first_with_dropout() -> str:
    """The network that views of dropout open on: trained with it where one comes along."""
    return "nin_cifar10" if networks.weights_options("nin_cifar10")[0] != "random" else "resnet20_cifar"


def find(recipe: tuple, make: Callable[[], Any]) -> Any:
    """What `make()` returns, kept for all sessions."""
    return picture_cache().get(("noise", *recipe), make)


def compute(
    slot: str, recipe: tuple, words: str, network: Network, passes: int, make: Callable[[Any], Any]
) -> Any | None:
    """What `make(progress)` returns: at once where so many `passes` take a moment only, else beside the page; None
    until it is there."""
    _, height, width = network.input_size
    if passes * height * width <= QUICK:
        return find((slot, *recipe), lambda: make(None))
    return studies.result(slot, ("noise", slot, *recipe), words, make)


@dataclass(frozen=True, slots=True)
class DropoutSetting:
    """What the views of dropout depend on. `layers`: all that drop units; `at`: which of them is looked at."""

    network: Network
    image: str
    layers: tuple[DropoutLayer, ...]
    at: int
    seed: int

    @property
    def layer(self) -> DropoutLayer:
        """The layer that is looked at."""
        return self.layers[self.at]

    @property
    def key(self) -> tuple:
        """Names the setting in caches, but for the layer that is looked at."""
        return self.network.key, self.image, tuple((one.layer, one.rate) for one in self.layers), self.seed

    def keep(self, number: int) -> np.ndarray:
        """Mask `number` on the layer, (C, H, W) as `units`."""
        from cnnviz.studies.noise.dropout import draw_mask, mask_maps

        return mask_maps(self.layer, draw_mask(self.layer, self.seed, number, self.at))


def dropout_layers(network: Network) -> tuple[DropoutLayer, ...]:
    """The network's own layers of dropout."""
    from cnnviz.studies.noise.dropout import list_dropout_layers

    return find(("layers", network.key), lambda: list_dropout_layers(network.model))


def assumed_layer(network: Network) -> DropoutLayer:
    """Dropout put behind the layer of the bar, in a network without any."""
    from cnnviz.studies.noise.dropout import assume_dropout, list_places

    places = find(("places", network.key), lambda: list_places(network.model))
    usual = find(("place", network.key), lambda: assume_dropout(network.model)).layer
    mapped = [name for name in places if max(shared.layer_shapes(network)[name][1:]) > 1] or places
    layer = controls.choose_layer(network, places, usual if usual in places else mapped[-1], "Layer")
    return find(("assumed", network.key, layer), lambda: assume_dropout(network.model, layer))


def units(setting: DropoutSetting) -> np.ndarray:
    """(C, H, W) of the layer, before anything is dropped."""
    from cnnviz.studies.noise.dropout import capture_units

    recipe = ("units", setting.network.key, setting.image, setting.layer.layer)
    return find(recipe, lambda: capture_units(setting.network.model, shared.photo(setting.image), setting.layer))


def passes(setting: DropoutSetting, many: int) -> DropoutPasses | None:
    """The answers under so many masks; None while they are computed."""

    def make(progress: Any) -> DropoutPasses:
        from cnnviz.studies.noise.dropout import run_passes

        photo = shared.photo(setting.image)
        return run_passes(setting.network.model, photo, setting.layers, many, setting.seed, progress)

    recipe = (*setting.key, many)
    return compute("passes", recipe, "Answers under masks of dropout", setting.network, many, make)


def evidence(network: Network, image: str) -> ClassEvidence:
    """What speaks for the answer. Raises BadInput where it is no sum."""
    from cnnviz.studies.noise.evidence import collect_evidence

    return find(("evidence", network.key, image), lambda: collect_evidence(network.model, shared.photo(image)))


def window(network: Network, image: str, layer: str, row: int, col: int) -> LayerWindow:
    """What one place of a layer reads."""
    from cnnviz.studies.noise.drop_connect import read_window

    recipe = ("window", network.key, image, layer, row, col)
    return find(recipe, lambda: read_window(network.model, shared.photo(image), layer, row, col))


def depths(network: Network, image: str, percent: int, seed: int, draws: int) -> RandomDepths | None:
    """The answers at random depths; None while they are computed."""

    def make(progress: Any) -> RandomDepths:
        from cnnviz.studies.noise.blocks import draw_depths

        return draw_depths(network.model, shared.photo(image), percent / 100, draws, seed, progress)

    recipe = (network.key, image, percent, seed, draws)
    return compute("depths", recipe, "Answers at random depths", network, 2 * draws, make)


def sample_images() -> list[Any]:
    """The first IMAGES of the corpus "samples"."""
    corpus = shared.corpus("samples")
    return [corpus.image(number) for number in range(min(IMAGES, len(corpus)))]


def removable(network: Network) -> dict[str, str]:
    """{block: what is taken out of it}, see `studies.noise.blocks.list_removable`."""
    from cnnviz.studies.noise.blocks import list_removable

    return find(("removable", network.key), lambda: list_removable(network.model))


def removed_each(slot: str, network: Network) -> BlocksRemoved | None:
    """The share of answers kept without each block; None while it is computed. Of bundled networks it comes along."""
    from cnnviz.studies.noise.recorded import read_removed

    found = find(("recorded", network.key), lambda: read_removed(network.model) or False)
    if found:
        return found

    def make(progress: Any) -> BlocksRemoved:
        from cnnviz.studies.noise.blocks import remove_each

        return remove_each(network.model, sample_images(), progress)

    title = shared.facts(network)["title"]
    return studies.result(slot, ("removed", network.key, IMAGES), f"{title} without each block", make)


def kept_without(network: Network, blocks: tuple[str, ...]) -> float | None:
    """Share of answers over `sample_images` that stay without these blocks; None while it is computed."""

    def answers(gone: tuple[str, ...]) -> np.ndarray:
        from cnnviz.studies.noise.blocks import predict_without

        make = lambda: predict_without(network.model, sample_images(), gone).argmax(1)  # noqa: E731
        return find(("answers", network.key, gone), make)

    def make(_progress: Any) -> float:
        return float((answers(blocks) == answers(())).mean())

    return studies.result("kept", ("kept", network.key, blocks), f"Answers over {IMAGES} sample images", make)


def without(network: Network, image: str, blocks: tuple[str, ...]) -> np.ndarray:
    """(classes,) probabilities of the image without these blocks."""
    from cnnviz.studies.noise.blocks import predict_without

    recipe = ("without", network.key, image, blocks)
    return find(recipe, lambda: predict_without(network.model, shared.photo(image), blocks)[0])


def versions(kind: str, network: Network, image: str, seed: int = 0) -> tuple[AugmentedImage, ...] | None:
    """The image augmented ("gallery"), as ten crops ("ten"), or at several scales ("scales"); None while it is
    computed. Raises BadInput where a network takes one size only."""
    from cnnviz.studies.noise.augmentation import augment_image, several_scales, ten_crops

    photo = shared.photo(image)
    make, many = {
        "gallery": (lambda _progress: augment_image(network.model, photo, seed), 29),
        "ten": (lambda _progress: ten_crops(network.model, photo), 10),
        "scales": (lambda _progress: several_scales(network.model, photo), 21),  # in pixels of one pass
    }[kind]
    return compute(
        f"versions_{kind}", (network.key, image, seed), "Answers to the augmented image", network, many, make
    )


def turns(network: Network, image: str) -> TurnedAnswers | None:
    """The answers to the turned image; None while they are computed."""
    from cnnviz.studies.noise.augmentation import turn_image

    def make(_progress: Any) -> TurnedAnswers:
        return turn_image(network.model, shared.photo(image))

    return compute("turns", (network.key, image), "Answers to the turned image", network, 25, make)


def offer_networks(words: str, offered: tuple[str, ...]) -> None:
    """Say in `words` what the network lacks, and offer those that have it whose weights are here."""
    here = [name for name in offered if networks.weights_options(name)[0] != "random"]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        more = " Networks that have:" if here else ""
        st.markdown(f":blue-background[:material/info: {words}{more}]", width="content")
        for name in here:
            st.button(networks.summaries()[name].title, key=f"offer_{name}", on_click=_take, args=(name,))


def _take(name: str) -> None:
    """Another network, with weights, image and layer of its own."""
    address.choose("net", name)
    for key in ("weights", "layer", "unit", "block"):
        address.choose(key, None)


def load_beside(name: str, network: Network) -> Network:
    """A bundled network on the device of another."""
    return networks.load(Choice(name, "bundled", network.choice.device))
