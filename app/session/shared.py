"""What the sessions share: photographs, corpora, results. Networks are in app/session/networks.py."""

from __future__ import annotations

import atexit
import gc
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image

from app import limits
from app.markdown import escape_markdown
from app.session import networks
from app.session.cache import array_cache, picture_cache
from app.session.networks import Network
from app.session.uploads import cache_folder, called, clean_title, is_stored_photo, store_zip
from cnnviz.device import out_of_memory as is_short
from cnnviz.device import release
from cnnviz.errors import BadInput, CnnvizError, DeviceLost
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.models.catalogue.downloads import Download
    from cnnviz.models.model import LoadedModel
    from cnnviz.probes.filters import FirstLayerFilters
    from cnnviz.tracing.receptive_field import ReceptiveField


@st.cache_resource(show_spinner=False)
def warm_up() -> threading.Thread:
    """Import what the first view needs while the browser still loads; then take it out of the garbage
    collector's sight, which Streamlit runs after every click."""

    def work() -> None:
        if "cnnviz.index.search.build" in sys.modules:
            return  # imported before, in this process
        import cnnviz.attribution.reconstruct
        import cnnviz.index.search.build  # noqa: F401

        gc.collect()
        gc.freeze()

    thread = threading.Thread(target=work, name="warm-up", daemon=True)
    thread.start()
    atexit.register(thread.join, 30)  # an import cut off at shutdown would abort the interpreter
    return thread


# --- photographs and corpora ---------------------------------------------------------------------------


@st.cache_resource(max_entries=24, show_spinner=False)
def photo(name: str) -> Image.Image:
    """A photograph by its name: a sample, "digit-3", or "upload-<hash>"."""
    return read_photo(name)


def read_photo(name: str) -> Image.Image:
    """As `photo`, which keeps what was shown last."""
    from cnnviz.data.samples import draw_digit, sample_photo

    if name.startswith("upload-"):
        if not is_stored_photo(name):
            raise BadInput("The uploaded image of this link is no longer on this machine. Upload it again.")
        from cnnviz.data.images import open_image

        return open_image(cache_folder("uploads") / f"{name.removeprefix('upload-')}.png")
    if name.startswith("digit-"):
        return draw_digit(int(name.removeprefix("digit-")))
    return sample_photo(name)


@st.cache_resource(max_entries=12, ttl=600, show_spinner=False)
def corpus(source: str) -> Corpus:
    """A corpus by name or path; listed anew after ten minutes, because folders change. What has to be downloaded
    comes before, see app/jobs/download.py."""
    from cnnviz.data.open import corpus as opened

    return opened(source)


def photo_names(one_channel: bool) -> list[str]:
    """The photographs and digits that come with cnnviz; digits first for a network of one channel."""
    from cnnviz.data.samples import sample_names

    names = picture_cache().get("samples", sample_names)
    digits = [f"digit-{n}" for n in range(10)]
    return digits + names if one_channel else names + digits


def is_here(name: str) -> bool:
    """True if a public data set needs no download."""
    from cnnviz.data.public.public_files import is_here as found

    return found(name)


def data_download(name: str) -> Download:
    """The download of a public data set."""
    from cnnviz.models.catalogue.downloads import data_download as find_download

    return find_download(name)


@st.cache_resource(max_entries=4, show_spinner=False)
def uploaded_corpus(ids: tuple[str, ...], _files: list[tuple[str, bytes]]) -> Corpus:
    """Uploaded images, or the images of one uploaded zip, which is stored by its hash. Raises BadInput for more than
    limits.IMAGES_AT_ONCE of images."""
    from cnnviz.data.open import corpus as opened

    data = _files[0][1]
    if len(_files) == 1 and data[:2] == b"PK":
        stored, title = store_zip(data), clean_title(_files[0][0])
        with called(stored.stem, title):
            found = opened(stored)
        found.name = title
        return found
    size = sum(len(data) for _name, data in _files)
    if size > limits.IMAGES_AT_ONCE:
        raise BadInput(
            f"These {plural(len(_files), 'file')} have {size / 1e6:,.0f} MB; "
            f"{limits.IMAGES_AT_ONCE / 1e6:,.0f} MB are taken "
            "at once. Give fewer, or pack them as one zip, which is read from the disk."
        )
    return opened(_files)


# --- results --------------------------------------------------------------------------------------------


def layer_shapes(network: Network) -> dict[str, tuple[int, int, int]]:
    """{layer: (C, H, W) of its output} of the layers worth looking at, in order; those that never run are left out."""
    from cnnviz.probes.capture import layer_shapes as measure

    return picture_cache().get(("layer shapes", network.key), lambda: measure(network.model))


def class_names(network: Network, layer: str) -> list[str]:
    """The classes that a layer's channels stand for: of the last layer, where there is one for each; else none."""
    shapes, names = layer_shapes(network), network.model.class_names
    return list(names) if layer == list(shapes)[-1] and shapes[layer][0] == len(names) else []


def layer_kinds(network: Network) -> dict[str, str]:
    """{layer: "conv", "block", "pool" or "linear"}, in order."""
    from cnnviz.models.model import layer_kinds as find_kinds

    return picture_cache().get(("layer kinds", network.key), lambda: find_kinds(network.model.module))


def received(network: Network, image: str) -> np.ndarray:
    """What the network sees of the image, uint8 (H, W, C)."""
    return array_cache().get(("received", network.key, image), lambda: network.model.receive(photo(image)))


def maps(network: Network, image: str, layer: str) -> np.ndarray:
    """(C, H, W) feature maps; read only."""
    return array_cache().get(("maps", network.key, image, layer), lambda: _capture_maps(network.model, image, layer))


def _capture_maps(model: LoadedModel, image: str, layer: str) -> np.ndarray:
    from cnnviz.probes.capture import capture

    values = capture(model, photo(image), [layer])[layer][0]
    values.flags.writeable = False
    return values


def receptive(network: Network, layer: str) -> ReceptiveField:
    """The receptive field of a layer's units."""
    from cnnviz.tracing.receptive_field import receptive_field

    return picture_cache().get(("receptive", network.key, layer), lambda: receptive_field(network.model, layer))


def filters(network: Network, contrast: str, channel: int | None, full: float | None = None) -> FirstLayerFilters:
    """The kernels of the first layer as tiles; `contrast`, `channel`, `full`: as for `first_layer_filters`."""
    from cnnviz.probes.filters import first_layer_filters

    name = ("first filters", network.key, contrast, channel, full)
    return picture_cache().get(name, lambda: first_layer_filters(network.model, contrast, channel, full))


def top5(network: Network, image: str) -> list[tuple[str, float]]:
    """The five most probable classes with their probabilities."""
    return picture_cache().get(("top 5", network.key, image), lambda: _predict_top5(network.model, image))


def _predict_top5(model: LoadedModel, image: str) -> list[tuple[str, float]]:
    probabilities = model.predict(photo(image))[0]
    order = np.argsort(-probabilities)[:5]
    return [(model.class_names[i], float(probabilities[i])) for i in order]


def facts(network: Network) -> dict[str, Any]:
    """Title, source, number of parameters and classes of a network."""
    return picture_cache().get(("facts", network.key), lambda: _collect_facts(network.model))


def _collect_facts(model: LoadedModel) -> dict[str, Any]:
    from cnnviz.models.catalogue.registry import find

    entry = find(model.name)
    parameters = sum(p.numel() for p in model.module.parameters())
    return dict(title=entry.title, source=entry.source, parameters=parameters, classes=len(model.class_names))


# --- what goes wrong --------------------------------------------------------------------------------------


def out_of_memory(error: Exception) -> bool:
    """True if `error` says that the accelerator is full or lost: its memory is freed, and this session goes
    on on the CPU with a message."""
    text = f"{type(error).__name__} {error}".lower()
    full = "out of memory" in text and ("cuda" in text or "mps" in text)
    lost = "cuda error" in text or "mps backend" in text
    if not (full or lost) or st.session_state.get("forced_device") == "cpu":
        return False
    networks.forget()
    release("cuda")
    st.session_state["forced_device"] = "cpu"
    st.session_state["device_message"] = (
        f"The device {'is out of memory' if full else 'was lost'}; cnnviz went on on the CPU. Restart the app to "
        "use it again."
    )
    return True


def memory_short(error: Exception) -> bool:
    """True if `error` says that the computer's own memory is full: what can be made again is let go of."""
    if not isinstance(error, DeviceLost) and not is_short(error):
        return False
    for cache in (picture_cache(), array_cache()):
        cache.clear()
    networks.forget()
    return True


def problem(error: CnnvizError) -> None:
    """Say what went wrong, in the error's own words."""
    st.error(escape_markdown(str(error)), icon=":material/error:")


class PageEnded(Exception):
    """The page has said why it shows no more. Unlike st.stop, which lets nothing reach the browser any more,
    this leaves the links and the URL to be brought up to date."""
