"""What the sessions share: photographs, corpora, results. Networks are in app/session/networks.py."""

from __future__ import annotations

import atexit
import gc
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image

from app import limits
from app.markdown import escape_markdown
from app.session import networks
from app.session.cache import Kept
from app.session.uploads import cache_folder, is_stored_photo, store_zip
from cnnviz.device import out_of_memory as is_short
from cnnviz.device import release
from cnnviz.errors import BadInput, CnnvizError, DeviceLost

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
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


@st.cache_data(max_entries=16, show_spinner=False)
def layer_shapes(key: str, _model: LoadedModel) -> dict[str, tuple[int, int, int]]:
    from cnnviz.probes.capture import layer_shapes as measured

    return measured(_model)


# --- photographs and corpora ---------------------------------------------------------------------------


@st.cache_resource(max_entries=24, show_spinner=False)
def photo(name: str) -> Image.Image:
    """A photograph by its name: a sample, "digit-3", or "upload-<hash>"."""
    from cnnviz.data.samples import draw_digit, sample_photo

    if name.startswith("upload-"):
        if not is_stored_photo(name):
            raise BadInput("The uploaded image of this link is not on this machine any more. Upload it again.")
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


def is_here(name: str) -> bool:
    """True if a public data set needs no download."""
    from cnnviz.data.public.public_files import is_here as found

    return found(name)


# --- results --------------------------------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def _arrays() -> Kept:
    return Kept(lambda: limits.MAPS)


def received(key: str, image: str, model: LoadedModel) -> np.ndarray:
    """What the network sees of the image, uint8 (H, W, C)."""
    return _arrays().get(("received", key, image), lambda: model.receive(photo(image)))


def maps(key: str, image: str, layer: str, model: LoadedModel) -> np.ndarray:
    """(C, H, W) feature maps; read only."""
    return _arrays().get(("maps", key, image, layer), lambda: _captured(image, layer, model))


def _captured(image: str, layer: str, model: LoadedModel) -> np.ndarray:
    from cnnviz.probes.capture import capture

    values = capture(model, photo(image), [layer])[layer][0]
    values.flags.writeable = False
    return values


@st.cache_resource(max_entries=256, show_spinner=False)
def receptive(key: str, layer: str, _model: LoadedModel) -> ReceptiveField:
    from cnnviz.tracing.receptive_field import receptive_field

    return receptive_field(_model, layer)


@st.cache_resource(max_entries=32, show_spinner=False)
def filters(key: str, contrast: str, channel: int | None, _model: LoadedModel) -> FirstLayerFilters:
    from cnnviz.probes.filters import first_layer_filters

    return first_layer_filters(_model, contrast, channel)


@st.cache_data(max_entries=64, show_spinner=False)
def top5(key: str, image: str, _model: LoadedModel) -> list[tuple[str, float]]:
    """The five most probable classes with their probabilities."""
    probabilities = _model.predict(photo(image))[0]
    order = np.argsort(-probabilities)[:5]
    return [(_model.class_names[i], float(probabilities[i])) for i in order]


@st.cache_resource(show_spinner=False)
def _pictures() -> Kept:
    return Kept(lambda: limits.PICTURES)


def is_drawn(recipe: tuple) -> bool:
    """True if `drawn(recipe, …)` would answer at once."""
    return recipe in _pictures()


def found(recipe: tuple) -> Any | None:
    """What `drawn` remembers under `recipe`; None if it is not there, or not any more."""
    return _pictures().find(recipe)


def drawn(recipe: tuple, draw: Callable[[], Any]) -> Any:
    """What `draw()` returns, remembered under `recipe`, which names everything it depends on. Shared by all
    sessions; the least recently used go first, so that no more than limits.PICTURES bytes are kept."""
    return _pictures().get(recipe, draw)


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
    for kept in (_pictures(), _arrays()):
        kept.clear()
    networks.forget()
    return True


def problem(error: CnnvizError) -> None:
    """Say what went wrong, in the error's own words."""
    st.error(escape_markdown(str(error)), icon=":material/error:")


class PageEnded(Exception):
    """The page has said why it shows no more. Unlike st.stop, which lets nothing reach the browser any more,
    this leaves the links and the URL to be brought up to date."""


@st.cache_data(max_entries=16, show_spinner=False)
def facts(key: str, _model: LoadedModel) -> dict[str, Any]:
    """Title, source, number of parameters and classes of a network."""
    from cnnviz.models.catalogue.registry import find

    entry = find(_model.name)
    parameters = sum(p.numel() for p in _model.module.parameters())
    return {
        "title": entry.title, "source": entry.source, "parameters": parameters, "classes": len(_model.class_names)
    }  # fmt: skip


@st.cache_resource(max_entries=4, show_spinner=False)
def uploaded_corpus(ids: tuple[str, ...], _files: list[tuple[str, bytes]]) -> Corpus:
    """Uploaded images, or the images of one uploaded zip, which is stored by its hash. Raises BadInput for more than
    limits.IMAGES_AT_ONCE of images."""
    from cnnviz.data.open import corpus as opened

    data = _files[0][1]
    if len(_files) == 1 and data[:2] == b"PK":
        return opened(store_zip(data))
    size = sum(len(data) for _name, data in _files)
    if size > limits.IMAGES_AT_ONCE:
        raise BadInput(
            f"These {len(_files):,} files have {size / 1e6:,.0f} MB; {limits.IMAGES_AT_ONCE / 1e6:,.0f} MB are taken "
            "at once. Give fewer, or pack them as one zip, which is read from the disk."
        )
    return opened(_files)
