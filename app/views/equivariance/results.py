"""What the page of equivariance shows, computed once for all sessions: maps, errors, curves, transforms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.session import networks, shared
from app.session.networks import Network
from cnnviz.errors import BadInput

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel
    from cnnviz.studies.equivariance.rotation_scale import TransformComparison
    from cnnviz.studies.equivariance.shift import LayerEquivariance

REACH = 16  # pixels: the longest shift of the page, and what a crop has around it
LAYERS = 40  # bars at most
KINDS = ("conv", "block", "pool", "linear")
TRANSFORMS = {
    "quarter": (1.0, 2.0, 3.0),  # turns of 90°
    "rotation": (5.0, 15.0, 30.0),  # degrees
    "scale": (0.8, 0.9, 1.1, 1.25),  # factors
}


@dataclass(frozen=True, slots=True)
class ShiftSetting:
    """What every view depends on. `how`, `padding`: of `cnnviz.equivariance`; `blur`: with blur-pooling."""

    network: Network
    image: str
    how: str = "circular"
    padding: str = "native"
    blur: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Names the setting in caches."""
        return self.network.key, self.image, self.how, self.padding, "blurred" if self.blur else ""

    @property
    def model(self) -> LoadedModel:
        """The network, or its blur-pooled copy. Raises BadInput where there is nothing to blur."""
        return _blur(self.network).model if self.blur else self.network.model

    def pixels(self, reach: int) -> Any:
        """The normalised image, a tensor (C, H, W), for shifts up to `reach`; the same picture for every reach."""
        from cnnviz.studies.equivariance.shifting import make_canvas

        margin = REACH if self.how == "crop" else 0
        whole = make_canvas(self.model, shared.photo(self.image), margin)
        cut = margin - reach if self.how == "crop" else 0
        return whole[:, cut : whole.shape[1] - cut, cut : whole.shape[2] - cut]


@dataclass(frozen=True, slots=True)
class LayerError:
    """`relative`, `inside`: of all units, and of those without padding in their field; NaN if there are none."""

    layer: str
    stride: tuple[float, float]
    relative: float
    inside: float


@dataclass(frozen=True, slots=True)
class Compared:
    """One shift. `row`: the chosen layer with its maps; `before`, `shifted`: uint8 (H, W, C), what the network
    receives; `errors`: of every layer; `problem`: why only the chosen layer is among them."""

    row: LayerEquivariance
    before: np.ndarray
    shifted: np.ndarray
    errors: tuple[LayerError, ...]
    problem: str


def _blur(network: Network) -> Network:
    """The network with blur-pooling."""
    from cnnviz.studies.equivariance.blurpool import add_blur_pooling

    return networks.derive(network, "blurred", lambda: add_blur_pooling(network.model))


def shown_layers(network: Network, layer: str) -> list[str]:
    """The layers of the bars: all that can be picked, or evenly chosen ones, and `layer` among them."""
    known = shared.layer_kinds(network)
    every = [name for name in shared.layer_shapes(network) if known[name] in KINDS]
    places = set(np.linspace(0, len(every) - 1, min(LAYERS, len(every))).round().astype(int).tolist())
    return [name for place, name in enumerate(every) if place in places or name == layer]


def compare(setting: ShiftSetting, layer: str, shift: tuple[int, int]) -> Compared:
    """T(f(x)) and f(T(x)) of a layer under one shift (rows, columns), and the error of every layer."""
    return _compared((*setting.key, layer, *shift), setting, layer, shift)


@st.cache_resource(max_entries=12, show_spinner=False)
def _compared(key: tuple[str | int, ...], _setting: ShiftSetting, _layer: str, _shift: tuple[int, int]) -> Compared:
    return compute_comparison(_setting, _layer, _shift)


def compute_comparison(setting: ShiftSetting, layer: str, shift: tuple[int, int]) -> Compared:
    """As `compare`, without keeping it."""
    from cnnviz.studies.equivariance.shift import equivariance
    from cnnviz.studies.equivariance.shifting import receive_shifted

    model, reach = setting.model, max(map(abs, shift))
    pixels = setting.pixels(reach)
    compare, problem = partial(equivariance, model, pixels, shift, padding=setting.padding, how=setting.how), ""
    try:
        found = compare(shown_layers(setting.network, layer))
    except BadInput as error:  # the whole network does not fit together any more; the chosen layer may
        found, problem = compare(layer), str(error)
    errors = tuple(
        LayerError(one.layer, one.stride, float(one.relative[0]), float(one.relative_inside[0])) for one in found.rows
    )
    before, shifted = receive_shifted(model, pixels, setting.how, [(0, 0), shift])
    return Compared(found[layer], before, shifted, errors, problem)


@dataclass(frozen=True, slots=True)
class Curve:
    """The error of a layer over shifts along one axis. `offsets` (K,) pixels; `relative`, `inside` (K,)."""

    offsets: np.ndarray
    relative: np.ndarray
    inside: np.ndarray


def curve_length(setting: ShiftSetting, stride: float) -> int:
    """The longest shift of the curve, pixels: two strides of the layer, and 8 at least."""
    return min(max(2 * int(np.ceil(stride)), 8), REACH if setting.how == "crop" else 64)


def curve(setting: ShiftSetting, layer: str, length: int, along: int, progress: Any = None) -> Curve:
    """The error under shifts of 0 … `length` pixels along rows (0) or columns (1)."""
    from cnnviz.studies.equivariance.shift import equivariance

    offsets = np.arange(length + 1)
    shifts = np.stack([offsets, 0 * offsets] if along == 0 else [0 * offsets, offsets], 1)
    row = equivariance(
        setting.model, setting.pixels(length), shifts, layer, setting.padding, setting.how, False, progress
    )[layer]
    return Curve(offsets, row.relative, row.relative_inside)


def is_quick(setting: ShiftSetting, shifts: int) -> bool:
    """True if so many passes take a blink of the eye, so that they need no job."""
    _channels, height, width = setting.network.input_size
    return shifts * height * width <= 40_000


def beyond(setting: ShiftSetting, layer: str, kind: str) -> TransformComparison:
    """The layer under all transforms of a kind. Raises BadInput for quarter turns of an oblong input."""
    return _beyond((*setting.key, layer, kind), setting, layer, kind)


@st.cache_resource(max_entries=9, show_spinner=False)
def _beyond(key: tuple[str, ...], _setting: ShiftSetting, _layer: str, _kind: str) -> TransformComparison:
    from cnnviz.studies.equivariance.rotation_scale import compare_transforms

    photo = shared.photo(_setting.image)
    return compare_transforms(_setting.model, photo, _kind, TRANSFORMS[_kind], _layer, _setting.padding)
