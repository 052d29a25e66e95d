"""Translation equivariance: shift the image, and see whether every layer's map shifts with it."""

import streamlit as st

from app.pickers import bar, comparison, controls
from app.pickers.comparison import Side
from app.views.equivariance import beyond, prediction, shift_map, single_shift, walk
from app.views.equivariance.results import KINDS, ShiftSetting
from cnnviz.figures.equivariance.words import PADDING

PAGE = {
    "title": "Equivariance",
    "address": "equivariance",
    "icon": ":material/open_with:",
    "place": 70,
    "group": "Understand",
}

VIEWS = ["Shift", "Map", "Prediction", "Beyond shifts"]
BLUR = (
    "Zhang's blur-pooling, without retraining: every stride is replaced by a dense pass, a 3×3 binomial blur, and "
    "dropping pixels. The weights never saw it, so that answers get worse while shifts matter less."
)
MASK = (
    "Only the units whose receptive field lies inside the image, before and after: there the theory says 0 for "
    "multiples of the stride, whatever the padding."
)

title = controls.heading("Translation equivariance")
network = controls.pick_network(title)
image = controls.pick_image(network)
layer = controls.pick_layer(network, KINDS)
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", VIEWS)
sides = [Side(network, image, layer)]
if view in ("Shift", "Map"):
    sides = comparison.pick_sides(network, image, layer, layer_kinds=KINDS)
with row:
    how = "circular"
    if view != "Beyond shifts":
        how = controls.bind(
            st.selectbox,
            "Shift",
            "how",
            "circular",
            options=["circular", "crop"],
            width=120,
            help="Circular: what leaves at one side comes in at the other. Crop: both "
            "images are cut out of the larger photograph.",
        )
    padding = controls.bind(
        st.selectbox,
        "Padding",
        "padding",
        "native",
        options=list(PADDING),
        width=115,
        help="  \n".join(f"{name}: {words}" for name, words in PADDING.items()),
    )
shift = single_shift.pick_shift(row) if view in ("Shift", "Map") else (0, 0)
with row, st.container(width="content", gap=None):
    blur = controls.bind(st.toggle, "Blur-pooling", "blur", False, help=BLUR)
    mask = view in ("Shift", "Map") and controls.bind(st.toggle, "Without border", "mask", False, help=MASK)
setting = ShiftSetting(network, image, how, padding, blur)
channel = single_shift.pick_channel(setting, layer) if view in ("Shift", "Beyond shifts") else 0
controls.show_device(network)
settings = {side: ShiftSetting(side.network, side.image, how, padding, blur) for side in sides}
common = len(sides) > 1 and controls.pick_scale(row)
if view == "Shift":
    shown = single_shift.view(settings, channel, shift, mask, common)
    if len(shown) == 1:
        walk.offer_walk(row, setting, layer, channel, shift, mask)
elif view == "Map":
    shift_map.view(settings, shift, mask, common)
elif view == "Prediction":
    prediction.view(setting)
else:
    beyond.view(setting, layer, channel, row)
