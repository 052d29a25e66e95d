"""The view of one unit on the image: its exact theoretical field, and the effective one beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.drawing import drawing
from app.components.picture import Frame, Label, picture
from app.jobs import studies
from app.markdown import as_code
from app.pickers import comparison, controls
from app.pickers.comparison import Side
from app.pickers.corpus import pick_corpus
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.receptive import unit_place, walk
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.receptive import cards
from cnnviz.figures.receptive.canvas import (
    BAR,
    Canvas,
    heat_picture,
    padding_label,
    photo_picture,
    plan_canvas,
    zoom_canvas,
)
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.studies.receptive.effective import MeasuredField
    from cnnviz.tracing.receptive_field import ReceptiveField

AVERAGES = {  # words: (images of the corpus, 0 for the chosen one alone; each with another channel)
    "this image": (0, False),
    "8 images": (8, False),
    "32 images": (32, False),
    "32 images and channels": (32, True),
}
QUICK = 40_000  # pixels of all images together that need no job
WHAT = (
    "Left, all the pixels that this unit can depend on; right, how much each of them really moves it, the *effective "
    "field*."
)
NOTICE = (
    "**Notice** that the gradient gathers in the middle of the box and fades like a Gaussian: most of what a unit can "
    "see hardly counts. With *Random weights* and many images and channels the bell is at its cleanest; training "
    "widens and bends it."
)
NOTICE_WHOLE = (
    "**Notice** that no place is preferred by the wiring: where the gradient gathers, it follows the weights and what "
    "is in the images. Choose a layer with a map of places to see a field that is smaller than the image."
)


@dataclass(frozen=True, slots=True)
class ViewedUnit:
    """What is looked at: a unit of a layer, the field of its layer, the photograph."""

    network: Network
    image: str
    layer: str
    channel: int
    field: ReceptiveField
    place: tuple[int, int]
    side: Side

    @property
    def name(self) -> str:
        return controls.unit_name(self.layer, self.channel, *self.place)


def pick_average(row: Any, network: Network) -> tuple[str, Corpus | None]:
    """Over how many images the gradient is averaged, and which; none for the chosen image alone."""
    with row:
        words = controls.bind(st.selectbox, "Mean over", "average", "8 images", options=list(AVERAGES), width=131)
    if not AVERAGES[words][0]:
        return words, None
    with row:
        images, _row = pick_corpus(network, "Images")
    return words, images


def look_at(side: Side, channel: int, place: tuple[int, int], shape: tuple[int, int]) -> ViewedUnit:
    """The unit of this half over the same place as that at `place` of a map of `shape`. Raises CnnvizError where the
    layer has no field, or no such channel."""
    channels = shared.layer_shapes(side.network)[side.layer][0]
    if channel >= channels:
        raise comparison.NothingBeside(f"{side.layer} has no channel {channel}: its last is {channels - 1}.")
    field = shared.receptive(side.network, side.layer)
    place = comparison.same_place(*place, shape, field.shape)
    return ViewedUnit(side.network, side.image, side.layer, channel, field, place, side)


def view(row: Any, looks: list[ViewedUnit]) -> None:
    """The view of one unit, or of two side by side. Raises CnnvizError where the images cannot be read."""
    look = looks[0]
    unit_place.quick_buttons(row, look.field)
    words, corpus = pick_average(row, look.network)
    with row:
        zoom = controls.bind(st.toggle, "Zoom", "zoom", False, help="Show the field alone, enlarged.")
    common = len(looks) > 1 and controls.pick_scale(row)
    shown, waiting = st.container(), st.container()  # what is measured below decides the scale of what stands above
    with waiting:
        measured = {one.side: _measured(one, words, corpus) for one in looks}
    peaks = [float(found.weight.max()) for found, _still in measured.values() if found is not None]
    peak = max(peaks) if common and peaks else None
    units = {one.side: one for one in looks}

    def draw(side: Side) -> None:
        one, (found, still) = units[side], measured[side]
        box = one.field.box(*one.place, clip=False)
        canvas = zoom_canvas(one.field.input_size, box) if zoom else canvas_of(one.field)
        alone = len(looks) == 1
        left, middle, *rest = st.columns([1, 1, 0.52] if alone else 2, gap="small")
        with left:
            _photograph(one, canvas, look)
        with middle:
            _gradient(one, canvas, found, "this image" if still else words, peak, look)
        with rest[0] if alone else st.container():
            _card(one, canvas, found)
        with st.container(key=one.side.key("field_words")):
            st.markdown(f"{as_code(one.name)} {said(one)}")

    with shown:
        comparison.show(units, draw)
    if len(looks) == 1 and not zoom:
        received, recipe = shared.received(look.network, look.image), (look.network.key, look.image, look.layer)
        walk.offer_walk(row, look.field, look.place, canvas_of(look.field), received, recipe)
    st.write(f"{WHAT} {NOTICE if any(look.field.stride) else NOTICE_WHOLE}")
    _formula()


def said(look: ViewedUnit) -> str:
    """What is out of the ordinary about this unit's field, in a sentence."""
    field, place = look.field, look.place
    if not any(field.stride):
        return f"This layer has no map of places: every unit sees the whole of what lies below, {_size(field.size)}."
    top, left, bottom, right = field.box(*place)
    if (bottom - top) * (right - left) == 0:
        return "This unit sees padding alone and no pixel of the image."
    if field.size == (1, 1):
        return "Only 1×1 kernels lie below this layer: each unit sees one pixel."
    free = field.box(*place, clip=False)
    share = 1 - (bottom - top) * (right - left) / max((free[2] - free[0]) * (free[3] - free[1]), 1)
    if share <= 0:
        return "The whole field lies inside the image."
    larger = any(size > length for size, length in zip(field.size, field.input_size, strict=True))
    why = "the field is larger than the image" if larger else "this unit sees that it is near a border"
    return f"{cards.share_text(share)} of the field's area is padding (hatched): {why}."


def canvas_of(field: ReceptiveField) -> Canvas:
    """Where the photograph stands, the same for all units of a layer."""
    rows, cols = field.shape
    first, last = field.box(0, 0, clip=False), field.box(rows - 1, cols - 1, clip=False)
    return plan_canvas(field.input_size, field.box(rows // 2, cols // 2, clip=False), (*first[:2], *last[2:]))


def _photograph(look: ViewedUnit, canvas: Canvas, first: ViewedUnit) -> None:
    free = look.field.box(*look.place, clip=False)
    received = shared.received(look.network, look.image)
    png = picture_cache().get(
        ("field photo", look.network.key, look.image, canvas, free), lambda: photo_picture(canvas, received, free)
    )
    frames = walk.field_frames(look.field, canvas, look.place)
    picture(
        png,
        canvas.size,
        look.side.alt(f"The field of {look.name} on the image"),
        look.side.key("field_photo"),
        frames,
        lambda x, y: _choose(look.field, canvas, x, y, first),
        fill=True,
        labels=_labels(canvas, free),
        group=_group(look),
    )
    st.caption(
        "Orange: what the unit can see."
        + (" Gray and hatched: padding, beyond the image." if len(frames) > 1 else "")
        + (" Click to choose another unit." if any(look.field.stride) else "")
    )


def _group(look: ViewedUnit) -> str:
    return comparison.GROUP if look.side.words else ""


def _gradient(
    look: ViewedUnit,
    canvas: Canvas,
    found: MeasuredField | None,
    words: str,
    peak: float | None,
    first: ViewedUnit,
) -> None:
    """`peak`: the gradient of full colour; None: its own maximum."""
    if found is None:
        return
    png, size = picture_cache().get(
        ("field heat", *_recipe(look, words), canvas, hash(found.weight.tobytes()), peak),
        lambda: heat_picture(canvas, found.weight, found.free, peak),
    )
    frames = [Frame(*canvas.frame(found.seen), cards.THEORY)]
    if found.weight.any():
        pairs = ((0.95, cards.MOST), (0.5, cards.HALF))
        frames += [Frame(*canvas.frame(found.box(share)), colour) for share, colour in pairs]
    (left, right), under = canvas.inner_columns, size[1] - 1.45 * BAR
    scale = [Label(left, under, 60, "0"), Label(right - 80, under, 160, "max" if peak is None else value_text(peak))]
    picture(
        png,
        size,
        look.side.alt(f"The gradient of {look.name}"),
        look.side.key("field_heat"),
        frames,
        lambda x, y: _choose(look.field, canvas, x, y, first),
        fill=True,
        labels=[*_labels(canvas, found.free), *scale],
        group=_group(look),
    )
    over = "this photograph" if found.images == 1 else plural(found.images, "image")
    silent = f" In {found.silent} of them the unit is silent." if found.silent and found.images > 1 else ""
    if not found.weight.any():
        st.caption(f"No gradient arrives: the unit is silent in {over}. Choose another channel or more images.")
    else:
        st.caption(f"|∂ unit / ∂ pixel|, mean over {over}; blue holds 95 % of it, pink half.{silent}")


def _labels(canvas: Canvas, free: tuple[int, int, int, int]) -> list[Label]:
    room = padding_label(canvas, free)
    return [Label(*room, "padding")] if room else []


def _card(look: ViewedUnit, canvas: Canvas, found: MeasuredField | None) -> None:
    from cnnviz.studies.receptive.effective import gaussian

    facts = cards.theory_facts(look.field, *look.place) + (cards.effective_facts(found) if found else [])
    curve = gaussian(found.weight.shape[1], found.centre[1], found.sigma[1]) if found else np.zeros(0)
    wide, narrow = (cards.unit_scene(facts, found, curve, canvas.columns, width) for width in (330.0, 190.0))
    drawing([wide], ["The field in numbers"], look.side.key("field_card"), most=1.6, narrow=[narrow])


def _choose(field: ReceptiveField, canvas: Canvas, x: float, y: float, first: ViewedUnit) -> None:
    """A click chooses the unit whose field is centred there; on the right half, the left one's over the same place."""
    unit = unit_place.unit_at(field, *canvas.point(x, y))
    unit_place.choose(*comparison.same_place(*unit, field.shape, first.field.shape))


def _recipe(look: ViewedUnit, words: str) -> tuple:
    return (look.network.key, look.image, look.layer, look.channel, look.place, words)


def _measured(look: ViewedUnit, words: str, corpus: Corpus | None) -> tuple[MeasuredField | None, bool]:
    """The effective field, and whether it is still that of the chosen image alone, shown until the rest is there."""
    count, spread = AVERAGES[words]
    if corpus is None:
        return _of_photo(look), False
    recipe = ("field", *_recipe(look, words), corpus.fingerprint)

    def make(progress: Any = None) -> MeasuredField:
        from cnnviz.studies.receptive.effective import measure_field, read_images

        model = look.network.model
        channel = None if spread else look.channel
        return measure_field(model, read_images(model, corpus, count), look.layer, channel, look.place, progress)

    _channels, height, width = look.network.input_size
    if count * height * width <= QUICK:
        return picture_cache().get(recipe, make), False
    found = studies.result(look.side.key("field"), recipe, f"Mean over {plural(count, 'image')}", make)
    return (_of_photo(look), True) if found is None else (found, False)


def _of_photo(look: ViewedUnit) -> MeasuredField:
    from cnnviz.studies.receptive.effective import measure_field

    model = look.network.model

    def make() -> MeasuredField:
        pixels = model.batch(shared.photo(look.image))
        return measure_field(model, pixels, look.layer, look.channel, look.place)

    return picture_cache().get(("field", *_recipe(look, "this image")), make)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} pixels"


def _formula() -> None:
    with st.expander("Formula and source"):
        st.latex(r"r=1+\sum_l (k_l-1)\,d_l\prod_{i<l}s_i\qquad S=\prod_l s_l\qquad P=\sum_l p_l\prod_{i<l}s_i")
        st.write(
            "Size r, stride S and padding P of a chain of kernels k, dilations d, strides s and paddings p: Araujo, "
            "Norris, Sim, Distill 2019. Branches, skips and odd borders are followed unit by unit in the network's own "
            "forward pass, so the box is exact. Effective field: Luo, Li, Urtasun, Zemel, NeurIPS 2016 "
            "(arXiv:1701.04128); the absolute gradient of the unit's value, summed over colours, averaged over images. "
            "Boxes are centred on the gradient's mean; σ is the standard deviation of the gradient, so that long tails "
            "widen the Gaussian."
        )
