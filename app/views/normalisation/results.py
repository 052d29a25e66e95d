"""What the page of normalisation shows, computed once for all sessions: batches, answers, statistics, bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.jobs import studies
from app.markdown import as_literal
from app.pickers import controls
from app.pickers.corpus import default_corpus
from app.session import networks, shared
from app.session.cache import array_cache, picture_cache
from app.session.networks import Network
from app.url import address

if TYPE_CHECKING:
    from cnnviz.studies.normalisation.company import CompanyAnswers, CompanySpread
    from cnnviz.studies.normalisation.memory import ActivationMemory
    from cnnviz.studies.normalisation.preprocessing import MeanImage

COMPANIONS = (0, 1, 3, 7, 15, 31)  # beside the image: batches of 1, 2, 4, 8, 16 and 32
POOL = 64  # sample images that companions are drawn from
DRAWS = 20
DRAW = 32  # that the page opens on: one in which the answer changes, which it says
QUICK = 100_000  # pixels that go through a network in a blink of the eye
OFFERED = {"resnet20_cifar": "ResNet-20 (CIFAR)", "plain20_cifar": "Plain-20 (CIFAR)"}


def pool_indices(network: Network, image: str) -> list[int]:
    """The first POOL images of the samples, or of the drawn digits, that do not come from the chosen photograph."""
    ids = shared.corpus(default_corpus(network)).ids[:POOL]
    return [at for at, name in enumerate(ids) if name.partition("/")[0] != image]


def pool_image(network: Network, index: int) -> np.ndarray:
    """What the network receives of an image of the pool, uint8 (H, W, C)."""
    name = ("pool", network.key, index)
    return array_cache().get(name, lambda: network.model.received_from(shared.corpus(default_corpus(network)), index))


def draw_batch(network: Network, image: str, companions: int, seed: int) -> list[np.ndarray]:
    """The chosen image and so many companions, as the network receives them, uint8 (H, W, C)."""
    from cnnviz.studies.normalisation.company import draw_companions

    pool = pool_indices(network, image)
    drawn = draw_companions(len(pool), companions, seed)
    return [shared.received(network, image), *(pool_image(network, pool[at]) for at in drawn)]


def pick_draw() -> int:
    """The seed of the companions."""
    return int(controls.bind(st.number_input, "Draw", "batchdraw", DRAW, min_value=0, max_value=999, step=1, width=115))


def _find(
    slot: str, recipe: tuple, words: str, make: Callable[[Any], Any], network: Network, images: int
) -> Any | None:
    """What `make(progress)` returns: at once where so many images go through in a blink of the eye, else beside the
    page, with None until then."""
    if images * network.input_size[1] * network.input_size[2] <= QUICK:
        return picture_cache().get(recipe, lambda: make(None))
    return studies.result(slot, recipe, words, make)


def answers(network: Network, image: str, seed: int) -> CompanyAnswers | None:
    """The answers in growing company; None while they are computed beside the page."""

    def make(_progress: Any) -> CompanyAnswers:
        from cnnviz.studies.normalisation.company import answers_in_company

        return answers_in_company(network.model, draw_batch(network, image, COMPANIONS[-1], seed), COMPANIONS)

    recipe = ("company", network.key, image, seed)
    return _find("company", recipe, "The answers in growing company", make, network, 2 * COMPANIONS[-1])


def spread(network: Network, image: str) -> CompanySpread | None:
    """Many draws; None while they are computed beside the page."""

    def make(progress: Any) -> CompanySpread:
        from cnnviz.studies.normalisation.company import company_spread

        pool = [pool_image(network, at) for at in pool_indices(network, image)]
        received = [shared.received(network, image), *pool]
        return company_spread(network.model, received, COMPANIONS[1:], DRAWS, progress)

    return studies.result("spread", ("company spread", network.key, image), f"The same for {DRAWS} draws", make)


def batch_norms(network: Network) -> dict[str, int]:
    """{layer: channels} of the batch norms that run."""
    from cnnviz.studies.normalisation.channel import find_batch_norms

    return picture_cache().get(("batch norms", network.key), lambda: find_batch_norms(network.model))


def norm_input(network: Network, image: str, layer: str, companions: int, seed: int) -> np.ndarray | None:
    """(N, C, places): what enters a batch norm for the image and its companions; None while it is computed."""

    def make(_progress: Any) -> np.ndarray:
        from cnnviz.studies.normalisation.channel import capture_norm_input

        return capture_norm_input(network.model, draw_batch(network, image, companions, seed), layer)

    recipe = ("norm input", network.key, image, layer, companions, seed)
    return _find("norm input", recipe, f"What enters {layer}", make, network, companions + 1)


def layer_output(network: Network, image: str, layer: str, companions: int, seed: int) -> np.ndarray | None:
    """(N, C, H, W): what a layer makes of the image and its companions; None while it is computed."""

    def make(_progress: Any) -> np.ndarray:
        from cnnviz.studies.normalisation.axes import capture_batch

        return capture_batch(network.model, draw_batch(network, image, companions, seed), layer)

    recipe = ("batch output", network.key, image, layer, companions, seed)
    return _find("batch output", recipe, f"The output of {layer}", make, network, companions + 1)


def memory(network: Network, image: str) -> ActivationMemory | None:
    """Bytes that training holds; None while they are measured."""

    def make(_progress: Any) -> ActivationMemory:
        from cnnviz.studies.normalisation.memory import activation_memory

        return activation_memory(network.model, shared.received(network, image))

    return _find("memory", ("memory", network.key), "What a pass keeps for the gradients", make, network, 40)


def mean_of_pool(network: Network) -> MeanImage | None:
    """The mean image of the pool; None while its images are read."""

    def make(_progress: Any) -> MeanImage:
        from cnnviz.studies.normalisation.preprocessing import mean_image

        return mean_image(pool_image(network, at) for at in pool_indices(network, ""))

    return _find("mean image", ("mean image", network.key), "The mean image", make, network, POOL)


def offer_others(network: Network) -> bool:
    """Say so where a network has no batch norm, and offer networks that have. True if it has none."""
    if batch_norms(network):
        return False
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        title = as_literal(shared.facts(network)["title"])
        st.markdown(
            f":blue-background[:material/info: {title} has no batch norm.] Networks that have:", width="content"
        )
        for name, words in OFFERED.items():
            if networks.weights_options(name)[0] != "random":
                st.button(words, key=f"offer_{name}", on_click=_take, args=(name,))
    return True


def _take(name: str) -> None:
    """Another network, with weights, image and layer of its own."""
    address.choose("net", name)
    for key in ("weights", "image", "layer", "unit"):
        address.choose(key, None)
