"""The view of a real network: which units a shift leaves alone, before and after each pooling layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.motion.player import Motion, Reel, ReelFrame, offer_motion
from app.components.picture import labelled_data, labelled_picture
from app.components.plots import plot, plot_data
from app.jobs import studies
from app.markdown import escape_markdown
from app.pickers import controls
from app.session import networks, shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.url import address
from app.views.equivariance.results import REACH, ShiftSetting
from app.views.playground.input import whole
from app.views.pooling import results
from cnnviz.errors import BadInput
from cnnviz.figures.equivariance.panels import Strip
from cnnviz.figures.pooling.charts import layers_figure, shares_figure
from cnnviz.figures.pooling.panels import MapPair, columns_strip, fold_channels, rows_strip
from cnnviz.progress import Ticker
from cnnviz.wording import plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.pooling.invariance import PoolingInvariance

KINDS = {"max": "maximum", "average": "average", "l2": "L2", "stochastic": "stochastic"}
TOLERANCES = [0, 1, 2, 5, 10, 20]  # % of the largest value
PACE = 450  # milliseconds of a pixel
SHARES = 2.3, 1  # of the width: pictures and curve
OFFERED = {"lenet5": "LeNet-5", "squeezenet1_0": "SqueezeNet 1.0"}


def view(network: Network, image: str, row: Any) -> None:
    """The maps around one pooling layer, shares over shifts, all layers, and other poolings in its place."""
    layers = results.pool_layers(network)
    _offer_others(network, layers)
    if not layers:
        return
    with row:
        right = int(
            controls.bind(
                st.slider, "Shift to the right [pixels]", "right", 2, min_value=0, max_value=REACH, step=1, width=240
            )
        )
        how = controls.bind(
            st.selectbox,
            "Shift",
            "how",
            "circular",
            options=["circular", "crop"],
            width=120,
            help="Circular: what leaves at one side comes in at the other. Crop: both images are cut "
            "out of the larger photograph.",
        )
        percent = controls.bind(
            st.selectbox,
            "Tolerance [%]",
            "tolerance",
            5,
            options=TOLERANCES,
            width=130,
            help="A unit is unchanged if it differs by at most this part of the layer's largest "
            "value; units below it both times are silent and not counted.",
        )
    setting, tolerance = ShiftSetting(network, image, how), percent / 100
    layer = _pick_layer(setting, layers)
    maps = results.capture_around(setting, layer, right)
    channel = controls.pick_unit(len(maps.after), int(np.argmax(maps.after.max(axis=(1, 2)))))
    pictures, curve = st.columns(SHARES, gap="medium")
    with pictures:
        _panels(setting, layer, channel, right, tolerance)
    with curve:
        _curve(setting, layer, right, tolerance)
    _offer_walk(row, setting, layer, channel, right, tolerance)
    with st.container(key="pooling_words"):
        _words(setting, layer, channel, right, tolerance)
    pictures, bars = st.columns(SHARES, gap="medium")
    with pictures:
        _instead(setting, layer, channel, right, tolerance)
    with bars:
        _layers(setting, layer, right, tolerance)
    _explained()


def _offer_others(network: Network, layers: dict[str, tuple[int, int, int]]) -> None:
    """Say so where a network does not pool inside, and offer networks that do."""
    if any(max(shape[1:]) > 1 for shape in layers.values()):
        return
    title = shared.facts(network)["title"]
    what = (
        f"pools only once, over the whole map, at its end ({', '.join(layers)})"
        if layers
        else ("has no pooling layer that can be named; it may take means over places without one")
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(
            f":blue-background[:material/info: {title} {what}.] Networks that pool on the way:", width="content"
        )
        for name, words in OFFERED.items():
            if networks.weights_options(name)[0] != "random":
                st.button(words, key=f"offer_{name}", on_click=_take, args=(name,))


def _take(name: str) -> None:
    """Another network, with weights, image and layer of its own."""
    address.choose("net", name)
    for key in ("weights", "image", "layer", "unit"):
        address.choose(key, None)


def _pick_layer(setting: ShiftSetting, layers: dict[str, tuple[int, int, int]]) -> str:
    return controls.choose_layer(setting.network, list(layers), results.find_default_layer(setting), "Pooling layer")


def _pairs(
    setting: ShiftSetting, layer: str, channel: int, right: int, tolerance: float
) -> list[tuple[str, str, MapPair]]:
    """Rows of the picture: the channel before pooling and after it; channels without location all at once."""
    from cnnviz.studies.pooling.compare import compare_units

    maps, rows = results.capture_around(setting, layer, right), []
    for name, first, second in (
        ("before", maps.before, maps.before_shifted),
        ("after", maps.after, maps.after_shifted),
    ):
        found = compare_units(first, second, tolerance)
        size = f"{first.shape[1]}×{first.shape[2]}"
        if max(first.shape[1:]) == 1:
            tables = [fold_channels(part[:, 0, 0]) for part in (first, second, found.same, found.active)]
            rows.append((name, f"{plural(len(first), 'channel')}", MapPair(*tables)))
        else:
            at = min(channel, len(first) - 1)
            rows.append((name, size, MapPair(first[at], second[at], found.same[at], found.active[at])))
    return rows


def _panels(setting: ShiftSetting, layer: str, channel: int, right: int, tolerance: float) -> None:
    drawn = picture_cache().get(
        ("pooling strip", *setting.key, layer, channel, right, tolerance),
        lambda: _draw_strip(setting, layer, channel, right, tolerance),
    )
    labelled_picture(drawn, f"Before and after {layer}, channel {channel}", "pooling_strip")


def _draw_strip(setting: ShiftSetting, layer: str, channel: int, right: int, tolerance: float) -> Strip:
    from cnnviz.studies.equivariance.shifting import receive_shifted

    pixels = setting.pixels(right)
    photo, shifted = receive_shifted(setting.model, pixels, setting.how, [(0, 0), (0, right)])
    return rows_strip(photo, shifted, _pairs(setting, layer, channel, right, tolerance))


def _curve(setting: ShiftSetting, layer: str, right: int, tolerance: float) -> None:
    found = results.over_shifts(setting, tolerance)
    if found is None:
        return
    figure = _draw_curve(found, layer, right)
    plot(
        figure,
        f"Unchanged units around {layer} over shifts",
        "pooling_curve",
        f"{setting.network.model.name}-{layer}-unchanged",
    )


def _draw_curve(found: PoolingInvariance, layer: str, right: int, drawn: int | None = None) -> Figure:
    one = next(row for row in found.rows if row.layer == layer)
    return shares_figure(results.OFFSETS, one.before, one.after, right, drawn=drawn)


def _offer_walk(row: Any, setting: ShiftSetting, layer: str, channel: int, right: int, tolerance: float) -> None:
    """Let the image walk to the right, while the curve of unchanged units draws itself."""
    motion = Motion(
        "the shift",
        [f"shift {pixels} of {REACH} px" for pixels in range(REACH + 1)],
        right,
        PACE,
        first=0,
        stale=("right", "pooling_words", "pooling_instead", "pooling_layers"),
    )
    waiting = st.container()

    def make_reel() -> Reel | None:
        recipe = ("pooling walk", *setting.key, layer, channel, tolerance)
        with waiting:
            quick = results.is_quick(setting, 2 * REACH)
            strips = make_strips() if quick else studies.result("walk", recipe, "The walk of the shift", make_strips)
            found = results.over_shifts(setting, tolerance)
        return None if strips is None or found is None else Reel([frame(found, *one) for one in enumerate(strips)])

    def make_strips(progress: Any = None) -> tuple[Strip, ...]:
        ticker, strips = Ticker(REACH + 1, progress), []
        for pixels in range(REACH + 1):
            strips.append(_draw_strip(setting, layer, channel, pixels, tolerance))
            ticker.tick("shifts")
        return tuple(strips)

    def frame(found: PoolingInvariance, pixels: int, strip: Strip) -> ReelFrame:
        drawn = _draw_curve(found, layer, pixels, pixels)
        return {"pooling_strip": labelled_data(strip), "pooling_curve": plot_data(drawn)}

    with row:
        recipe = (*setting.key, layer, channel, tolerance)
        offer_motion(motion, "motion", lambda pixels: address.choose("right", pixels), recipe, make_reel)


def _words(setting: ShiftSetting, layer: str, channel: int, right: int, tolerance: float) -> None:
    one = next(row for row in results.at_shift(setting, right, tolerance).rows if row.layer == layer)
    st.markdown(
        f"`{controls.unit_name(layer, channel)}` A shift by {plural(right, 'pixel')} leaves "
        f"**{100 * one.before[0]:.0f} %** of the active units before this pooling unchanged and "
        f"**{100 * one.after[0]:.0f} %** after it, over all channels."
    )
    st.write(
        "Invariance asks for the same value at the same place although the image has moved; nothing is moved back. "
        "**Notice** that pooling usually raises the share, that it stays below 100 %, and that the gain shrinks as "
        "the shift grows: one pooling layer is only nearly invariant, and to small shifts only."
    )


def _instead(setting: ShiftSetting, layer: str, channel: int, right: int, tolerance: float) -> None:
    """The same map pooled in four ways, with a window and stride of one's own."""
    maps = results.capture_around(setting, layer, right)
    largest = min(8, *maps.before.shape[1:])
    with st.container(horizontal=True, gap="small"):
        size = whole("Window", "window", min(2, largest), 1, largest)
        stride = whole("Stride", "poolstride", 2, 1, 8)
        draw = whole("Stochastic draw", "draw", 1, 1, 999)
    at = min(channel, len(maps.before) - 1)
    columns, refused = [], ""
    for kind, name in KINDS.items():
        try:
            columns.append(_column(maps, at, kind, name, (size, stride, draw), tolerance))
        except BadInput as error:
            refused = str(error)
    drawn = columns_strip(columns)
    labelled_picture(drawn, f"The map before {layer} in four poolings", "pooling_instead")
    if refused:
        st.caption(escape_markdown(refused))
    st.write(
        "The map that enters the layer, pooled in four ways; below it the units that the shift changed. **Notice** "
        "how a larger window keeps more maxima: the strongest unit only has to stay inside, while an average and L2 "
        "take part in everything that moves."
    )


def _column(
    maps: Any, channel: int, kind: str, name: str, how: tuple[int, int, int], tolerance: float
) -> tuple[str, str, MapPair]:
    from cnnviz.studies.pooling.compare import compare_units, repool

    first, second = repool(maps, channel, kind, *how)
    found = compare_units(first, second, tolerance)
    told = f"{100 * found.share:.0f} % unchanged" if found.active.any() else "silent"
    return f"{name}, {first.shape[0]}×{first.shape[1]}", told, MapPair(first, second, found.same, found.active)


def _layers(setting: ShiftSetting, layer: str, right: int, tolerance: float) -> None:
    rows = results.at_shift(setting, right, tolerance).rows
    figure = layers_figure(
        [row.layer for row in rows],
        [float(row.before[0]) for row in rows],
        [float(row.after[0]) for row in rows],
        layer,
    )
    plot(
        figure,
        "Unchanged units around every pooling layer",
        "pooling_layers",
        f"{setting.network.model.name}-pooling",
        on_point=_choose,
    )


def _choose(hit: list[Any]) -> None:
    """A click on a bar chooses that layer."""
    address.choose("layer", str(hit[1]))


def _explained() -> None:
    with st.expander("Formula and source"):
        st.write(
            "A unit is *active* if it is above the tolerance in either image, and *unchanged* if |f(T(x)) − f(x)| is "
            "at most the tolerance, a part of the layer's largest value without a shift; the share is unchanged units "
            "over active ones. In the four poolings the largest value is that of the pooled channel, and both images "
            "draw by the same random numbers. L2 is the root of the sum of squares. Sources: Goodfellow, Bengio, "
            "Courville, Deep Learning, 2016, section 9.3; stochastic pooling: Zeiler and Fergus, ICLR 2013, "
            "arXiv:1301.3557."
        )
