"""The view of growth: the field's side over the layers, and the nested fields of one unit on the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.picture import Frame, picture
from app.components.plots import plot
from app.jobs import studies
from app.markdown import as_code, as_literal
from app.pickers import controls
from app.pickers.corpus import pick_corpus
from app.session import shared
from app.session.cache import picture_cache
from app.url import address
from app.views.receptive import unit_place
from app.views.receptive.unit_field import ViewedUnit
from cnnviz.figures.base.colors import CHOSEN
from cnnviz.figures.receptive.canvas import Canvas, photo_picture, plan_canvas
from cnnviz.figures.receptive.growth import depth_colours, growth_figure
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.studies.receptive.growth import EffectiveSize, Growth, LayerField

MAIN, ALL = "Main layers", "All layers"
SMALL = 64 * 64  # pixels of an input whose effective fields are measured without being asked for
BOXES = 16  # nested fields at most; more cannot be told apart
NOTHING_GROWS = (
    "No layer of this network has a map of places: every unit of `{}` is connected to the whole image, {}×{} pixels, "
    "from its first layer on, and nothing grows. Choose a convolutional network to see its fields grow."
)


def view(row: Any, look: ViewedUnit) -> None:
    """The view. Raises CnnvizError where the images cannot be read."""
    with row:
        depth = controls.bind_choice("Layers", "depth", [MAIN, ALL])
    growth = _growth(look, depth)
    if not growth.spatial:
        st.info(as_literal(NOTHING_GROWS.format(look.network.model.name, *growth.image)))
        return
    unit_place.quick_buttons(row, look.field)
    with row:
        images, _row = pick_corpus(look.network, "Images")
    left, right = st.columns([1.62, 1], gap="medium")
    with left:
        place = st.container(gap="small")
        effective = _effective(look, growth, images)
        with place:
            plot(
                growth_figure(growth, look.layer, effective or ()),
                "Growth of the receptive field",
                "growth",
                f"{look.network.model.name}-receptive-field",
                on_point=_choose_layer,
            )
    with right:
        _nested(look, growth)
    st.markdown(f"{as_code(look.name)} {_said(growth)}")
    _words()


def _growth(look: ViewedUnit, depth: str) -> Growth:
    def make() -> Growth:
        from cnnviz.models.model import layer_kinds
        from cnnviz.studies.receptive.growth import find_main_layers, measure_growth

        model = look.network.model
        chosen = find_main_layers(model) if depth == MAIN else list(layer_kinds(model.module))
        return measure_growth(model, list(dict.fromkeys([*chosen, look.layer])))

    return picture_cache().get(("growth", look.network.key, depth, look.layer), make)


def _effective(look: ViewedUnit, growth: Growth, images: Corpus) -> tuple[EffectiveSize, ...] | None:
    """The effective sizes of the layers with places; None until they are measured."""
    layers, (height, width) = [row.layer for row in growth.spatial], growth.image
    count = 16 if height * width <= SMALL else 8

    def make(progress: Any) -> tuple[EffectiveSize, ...]:
        from cnnviz.studies.receptive.effective import read_images
        from cnnviz.studies.receptive.growth import measure_effective_growth

        model = look.network.model
        return measure_effective_growth(model, read_images(model, images, count), layers, progress)

    words = f"Effective fields of {plural(len(layers), 'layer')} over {plural(count, 'image')}"
    recipe = ("growth", look.network.key, tuple(layers), images.fingerprint)
    return studies.result("growth", recipe, words, make, at_once=height * width <= SMALL)


def _nested(look: ViewedUnit, growth: Growth) -> None:
    """The fields of one unit and of those below it, centred at the same pixel, on the image."""
    rows = shown_rows(growth, look.layer)
    colours = dict(zip((row.layer for row in growth.spatial), depth_colours(len(growth.spatial)), strict=True))
    canvas = _canvas(look, rows[-1])
    middle = look.field.centre(*look.place)
    received = shared.received(look.network, look.image)
    nowhere = (0, 0, 0, 0)
    png = picture_cache().get(
        ("nested photo", look.network.key, look.image, canvas), lambda: photo_picture(canvas, received, nowhere)
    )
    frames = []
    for one in sorted(rows, key=lambda r: r.layer == look.layer):  # the chosen one is drawn last, on top
        field = shared.receptive(look.network, one.layer)
        box = field.box(*unit_place.unit_at(field, *middle), clip=False)
        frames.append(Frame(*canvas.frame(box), CHOSEN if one.layer == look.layer else colours[one.layer]))
    picture(
        png,
        canvas.size,
        f"Nested fields up to {rows[-1].layer}",
        "field_nested",
        frames,
        lambda x, y: unit_place.choose(*unit_place.unit_at(look.field, *canvas.point(x, y))),
        fill=True,
    )
    st.caption(
        "The same unit's field in layer after layer, in the colours of the curve; orange: the chosen layer. Those "
        "wider than the picture are not seen. Click the picture for another place, a point for another layer."
    )


def shown_rows(growth: Growth, layer: str) -> list[LayerField]:
    """At most BOXES of the layers with places, evenly chosen, the last and `layer` among them."""
    rows = growth.spatial
    every = -(-len(rows) // BOXES)
    return [row for at, row in enumerate(rows) if (len(rows) - 1 - at) % every == 0 or row.layer == layer]


def _canvas(look: ViewedUnit, last: LayerField) -> Canvas:
    field = shared.receptive(look.network, last.layer)
    height, width = field.input_size
    first, end = field.box(0, 0, clip=False), field.box(field.shape[0] - 1, field.shape[1] - 1, clip=False)
    return plan_canvas(field.input_size, (0, 0, height, width), (*first[:2], *end[2:]))


def _said(growth: Growth) -> str:
    """The end of the growth in a sentence."""
    last, image = growth.spatial[-1], growth.image
    end = f"At {last.layer} it is {last.size[0]}×{last.size[1]} pixels at stride {max(last.stride):g}"
    if last.size == (1, 1):
        return "Only 1×1 kernels: no layer widens the field."
    if (first := growth.exceeding) is None:
        return f"{end}; it stays within the image of {image[0]}×{image[1]}."
    return f"{end}; from {first.layer} on it is larger than the image of {image[0]}×{image[1]}."


def _choose_layer(hit: list[Any]) -> None:
    """A click on a point chooses its layer, and the unit in the middle of it."""
    address.choose("layer", str(hit[0]))
    for key in ("row", "col", "unit"):
        address.choose(key, None)


def _words() -> None:
    st.write(
        "Each layer adds (kernel − 1) × the product of earlier strides, so the curve is steeper after every stride. "
        "**Notice** how far the effective field stays behind the theoretical one: for equal weights it grows "
        "with the square root of the depth alone, and strides are what makes it large."
    )
    with st.expander("Formula and source"):
        st.latex(r"r_l=r_{l-1}+(k_l-1)\,d_l\prod_{i<l}s_i\qquad \sigma=\sqrt{n\,(k^2-1)/12}")
        st.write(
            "Theoretical: the unit in the middle of each map, padding included (Araujo, Norris, Sim, Distill 2019). "
            "Blocks stand where they end. Effective: the boxes that hold half and 95 % of the mean absolute gradient "
            "of the middle unit, over several images with another channel each; σ of n equal layers of k taps: Luo, "
            "Li, Urtasun, Zemel, NeurIPS 2016 (arXiv:1701.04128), section 2."
        )
