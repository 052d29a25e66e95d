"""What the page of pooling shows of networks, computed once for all sessions: shares, maps, location, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.jobs import studies
from app.session import networks, shared
from app.session.cache import picture_cache
from app.session.networks import Choice, Network
from app.views.equivariance.results import REACH, ShiftSetting, is_quick

if TYPE_CHECKING:
    from cnnviz.studies.pooling.compare import PooledMaps
    from cnnviz.studies.pooling.global_pooling import GlobalPooling, SizeRun
    from cnnviz.studies.pooling.invariance import PoolingInvariance

OFFSETS = np.arange(REACH + 1)  # pixels to the right
SIZES = (0.5, 0.75, 1.0, 1.25, 1.5)  # of the network's own input
FLAT, GLOBAL = "lenet5", "resnet20_cifar"  # bundled: one flattens its last map, one averages it


def pool_layers(network: Network) -> dict[str, tuple[int, int, int]]:
    """{pooling layer: (C, H, W) of its output}, in order; layers that never run are left out."""
    named = set(network.model.layers("pool"))
    return {name: shape for name, shape in shared.layer_shapes(network).items() if name in named}


def find_default_layer(setting: ShiftSetting) -> str:
    """The pooling layer that gains most by pooling at a shift of two pixels, among those that keep location."""
    layers = pool_layers(setting.network)
    local = [name for name, shape in layers.items() if max(shape[1:]) > 1] or list(layers)
    rows = {row.layer: row for row in at_shift(setting, 2).rows}
    return max(local, key=lambda name: float(rows[name].after[0] - rows[name].before[0]))


def at_shift(setting: ShiftSetting, right: int, tolerance: float = 0.05) -> PoolingInvariance:
    """All pooling layers under one shift to the right."""
    return _at_shift((*setting.key, right, tolerance), setting, right, tolerance)


@st.cache_resource(max_entries=24, show_spinner=False)
def _at_shift(key: tuple, _setting: ShiftSetting, _right: int, _tolerance: float) -> PoolingInvariance:
    return _shares(_setting, np.array([[0, _right]]), _tolerance)


def over_shifts(setting: ShiftSetting, tolerance: float) -> PoolingInvariance | None:
    """All pooling layers over the shifts OFFSETS; None while it is computed beside the page."""
    shifts = np.stack([0 * OFFSETS, OFFSETS], 1)
    recipe = ("pooling", *setting.key, tolerance)
    if is_quick(setting, len(OFFSETS)):
        return picture_cache().get(recipe, lambda: _shares(setting, shifts, tolerance))
    return studies.result(
        "pooling", recipe, "Unchanged units over shifts", lambda progress: _shares(setting, shifts, tolerance, progress)
    )


def _shares(setting: ShiftSetting, shifts: np.ndarray, tolerance: float, progress: Any = None) -> PoolingInvariance:
    from cnnviz.studies.pooling.invariance import pooling_invariance

    reach, layers = int(np.abs(shifts).max()), list(pool_layers(setting.network))
    return pooling_invariance(
        setting.model, setting.pixels(reach), shifts, tolerance, layers, setting.padding, setting.how, progress
    )


def capture_around(setting: ShiftSetting, layer: str, right: int) -> PooledMaps:
    """The maps around one pooling layer, without and with the shift."""
    return _around((*setting.key, layer, right), setting, layer, right)


@st.cache_resource(max_entries=12, show_spinner=False)
def _around(key: tuple, _setting: ShiftSetting, _layer: str, _right: int) -> PooledMaps:
    from cnnviz.studies.pooling.compare import capture_pooled_maps

    return capture_pooled_maps(
        _setting.model, _setting.pixels(_right), (0, _right), _layer, _setting.padding, _setting.how
    )


def location(setting: ShiftSetting, layer: str) -> GlobalPooling | None:
    """What global pooling leaves of location over OFFSETS; None while it is computed beside the page."""

    def made(_progress: Any = None) -> GlobalPooling:
        from cnnviz.studies.pooling.global_pooling import global_pooling

        shifts = np.stack([0 * OFFSETS, OFFSETS], 1)
        return global_pooling(setting.model, setting.pixels(REACH), shifts, layer, setting.padding, setting.how)

    recipe = ("location", *setting.key, layer)
    if is_quick(setting, len(OFFSETS)):
        return picture_cache().get(recipe, made)
    return studies.result("location", recipe, "The last map over shifts", made)


@st.cache_resource(max_entries=16, show_spinner=False)
def sizes(key: str, image: str, _network: Network) -> tuple[SizeRun, ...]:
    """The same photograph at SIZES of the network's own input."""
    from cnnviz.studies.pooling.global_pooling import input_sizes

    side = max(_network.input_size[1:])
    return input_sizes(_network.model, shared.photo(image), [round(share * side) for share in SIZES])


def counterpart(network: Network, runs_on_all: bool) -> Network | None:
    """The bundled network that ends the other way; None where it is the chosen one or is not bundled."""
    name = FLAT if runs_on_all else GLOBAL
    if name == network.model.name or "bundled" not in networks.weights_options(name):
        return None
    return networks.load(Choice(name, "bundled", network.choice.device))
