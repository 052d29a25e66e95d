"""The view of occlusion: a gray square slides over the image, three maps tell what it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.motion.player import Motion, Reel, offer_motion
from app.components.picture import Frame, Label, box_data, labelled_data, labelled_picture, picture
from app.jobs.batch import Counter, Wanted, fill_results
from app.markdown import as_literal
from app.pickers import controls
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.url import address
from app.views.inspect.results import Subject
from cnnviz.figures.attribution.answers import probability_text
from cnnviz.figures.attribution.panels import (
    GAP,
    TITLE,
    compose_panels,
    cover_square,
    label_panel,
    map_panel,
    photo_panel,
)
from cnnviz.figures.base.charts import value_text
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.attribution.occlusion import Occlusion

SIDE = 224  # pixels of a panel
PANELS = 4
SWEEP, MOST = 14_000, 400  # milliseconds of a sweep, and places of one
HIDDEN, UNKNOWN = "#808080", "#b0b7c0"  # the square, and what of a map the sweep has not reached


def pick_square(row: Any, network: Network) -> tuple[int, int]:
    """(size, stride) of the square in pixels of the input."""
    from cnnviz.attribution.occlusion import default_square

    short = min(network.input_size[1:])
    usual = default_square(network.input_size[1:])
    with row:
        size = controls.bind(
            st.number_input, "Square [pixels]", "square", usual[0], min_value=1, max_value=short, step=1, width=108
        )
        stride = controls.bind(
            st.number_input,
            "Step [pixels]",
            "step",
            usual[1],
            min_value=max(1, short // 64),
            max_value=short,
            step=1,
            width=108,
        )
    return int(size), int(stride)


def pick_map(network: Network, image: str) -> tuple[str, int]:
    """Layer and feature map in the bar: the last maps, and the one with the strongest response."""
    from cnnviz.probes.classifier import find_top_layer

    shapes = shared.layer_shapes(network)
    default = find_top_layer(network.model)
    options = list(shapes) if default in shapes else [*shapes, default]
    layer = controls.choose_layer(network, options, default)
    totals = np.maximum(shared.maps(network, image, layer), 0).sum(axis=(1, 2))
    return layer, controls.pick_unit(len(totals), int(totals.argmax()))


def view(row: Any, subject: Subject, square: tuple[int, int], unit: tuple[str, int], opacity: float) -> None:
    """The image with a square, and P(class), the answer, and the feature map at every place of it."""
    model, image, target = subject.network.model, subject.image, subject.target

    def make(counter: Counter | None) -> tuple:
        from cnnviz.attribution.occlusion import occlude

        found = occlude(model, shared.photo(image), target, *square, *unit, progress=counter)
        return found, found.probability, found.label, found.activation  # the arrays count in the cache

    recipe = ("occlusion", *subject.key[:2], target, *square, *unit)
    place, waiting = st.container(), st.container()
    (kept,) = fill_results("occlusion", [Wanted(recipe, make, "Sliding the square")], waiting)
    with place:
        if kept is None:
            side = subject.side(SIDE)
            panel = photo_panel(subject.received, "The image", side)
            shown = picture_cache().get(("uncovered", *subject.key[:2]), lambda: compose_panels([panel], 1, side))
            labelled_picture(shown, "The image", "occluded")
        else:
            _maps(row, subject, kept[0], recipe, opacity)
    st.write(
        "The square hides a part of the image from the network. **Notice** where the probability falls: what the "
        "network needs to see, or something beside it. Click a place of a map to put the square there."
    )
    with st.expander("Formula and source"):
        st.write(
            "Each place of a map is one forward pass with the square centred there, cut where it reaches beyond the "
            "image; gray is 128 of 255. The third map is the sum of the positive activations of one feature map, the "
            "one with the strongest response to the whole image unless you choose another. Zeiler and Fergus, ECCV "
            "2014 (arXiv:1311.2901), section 4.2 and Figure 7."
        )


@dataclass(frozen=True, slots=True)
class PanelPlan:
    """Where the panels have the image's pixels: `scale` pixels of the picture for one, the first panel's image at
    `left`, `top`; the others beside it."""

    scale: float
    left: float
    top: float
    pitch: float

    def frame(self, panel: int, box: tuple[int, int, int, int], **looks: str) -> Frame:
        """A rectangle (top, left, bottom, right) of the image, on a panel."""
        top, left, bottom, right = box
        across, down = panel * self.pitch + self.left + left * self.scale, self.top + top * self.scale
        return Frame(across, down, (right - left) * self.scale, (bottom - top) * self.scale, **looks)


def _lay_out(subject: Subject) -> PanelPlan:
    seen, side = subject.received, subject.side(SIDE)
    scale = side / max(seen.shape[:2])
    left, top = ((side - scale * length) / 2 for length in seen.shape[1::-1])
    return PanelPlan(scale, left, top + TITLE, side + GAP)


def _draw_panels(subject: Subject, found: Occlusion, photo: np.ndarray, opacity: float) -> Any:
    """`photo`: the image of the first panel."""
    seen, side = subject.received, subject.side(SIDE)
    return compose_panels(
        [
            photo_panel(photo, "The square", side),
            map_panel(seen, found.over_image(found.probability), False, "P(class)", side, opacity),
            label_panel(seen, found.over_image(found.label), found.class_names, "Most probable class", side, opacity),
            map_panel(
                seen, found.over_image(found.activation), False, f"{found.layer} · {found.channel}", side, opacity
            ),
        ],
        PANELS,
        side,
    )


def _maps(controls_row: Any, subject: Subject, found: Occlusion, recipe: tuple, opacity: float) -> None:
    row, col = _place(found)
    box, laid = found.box(row, col), _lay_out(subject)
    shown = picture_cache().get(
        (*recipe, "drawn", row, col, opacity),
        lambda: _draw_panels(subject, found, cover_square(subject.received, box), opacity),
    )
    frames = [laid.frame(panel, box) for panel in range(PANELS)]

    def choose(x: float, y: float) -> None:
        at = (y - laid.top) / laid.scale, (x % laid.pitch - laid.left) / laid.scale
        rows, cols = (min(max(int(v // found.stride), 0), n - 1) for v, n in zip(at, found.label.shape, strict=True))
        address.choose("place", f"{rows},{cols}")

    words = f"Occlusion: the probability of {subject.name}, the answer, and a feature map at every place of the square"
    picture(shown.png, shown.size, words, "occluded", frames, choose, labels=[Label(*one) for one in shown.words])
    with controls_row:
        _offer_sweep(subject, found, (row, col), recipe, opacity)
    with st.container(key="occlusion_words"):
        _say(subject, found, row, col)


def _offer_sweep(subject: Subject, found: Occlusion, at: tuple[int, int], recipe: tuple, opacity: float) -> None:
    """Let the square sweep over the image, row by row, while the maps fill."""
    every = list(np.ndindex(*found.label.shape))
    places = every[:: -(-len(every) // MOST)]
    said = [f"P {probability_text(float(found.probability[place]))}" for place in places]
    laid = _lay_out(subject)

    def make_reel() -> Reel:
        whole = labelled_data(_draw_panels(subject, found, subject.received, opacity))
        frames = [{"occluded": {"boxes": box_data(sweep_frames(found, laid, *place))}} for place in places]
        return Reel(frames, {"occluded": {"src": whole["src"]}})

    offer_motion(
        Motion(
            "the square",
            said,
            places.index(at) if at in places else None,
            max(30, SWEEP // len(places)),
            first=0,
            stale=("occlusion_words",),
        ),
        "motion",
        lambda place: address.choose("place", "{},{}".format(*places[place])),
        (*recipe, opacity),
        make_reel,
    )


def sweep_frames(found: Occlusion, laid: PanelPlan, row: int, col: int) -> list[Frame]:
    """What lies over the panels when the sweep, row by row, has come to a place: the square on the first, and on the
    maps a cover over all the cells behind this one."""
    box, (high, wide) = found.box(row, col), found.shape
    ends = [min((at + 1) * found.stride, length) for at, length in ((row, high), (col, wide))]
    later = [(row * found.stride, ends[1], ends[0], wide), (ends[0], 0, high, wide)]
    covers = [
        laid.frame(panel, part, fill=UNKNOWN)
        for panel in range(1, PANELS)
        for part in later
        if part[0] < part[2] and part[1] < part[3]
    ]
    return [laid.frame(0, box, fill=HIDDEN), *covers, *(laid.frame(panel, box) for panel in range(PANELS))]


def _say(subject: Subject, found: Occlusion, row: int, col: int) -> None:
    box = found.box(row, col)
    asked, answer = as_literal(subject.name), as_literal(found.class_names[int(found.label[row, col])])
    st.markdown(
        f"Without the square P({asked}) is {probability_text(found.whole[0])}; with it at rows {box[0]} to "
        f"{box[2] - 1}, columns {box[1]} to {box[3] - 1}: **{probability_text(float(found.probability[row, col]))}**, "
        f"the answer is **{answer}**, and `{controls.unit_name(found.layer, found.channel)}` "
        f"sums to {value_text(float(found.activation[row, col]))} instead of {value_text(found.whole[2])}. "
        f"At {probability_text(found.changed)} of the {plural(found.label.size, 'place')} the answer changes."
    )


def _place(found: Occlusion) -> tuple[int, int]:
    """Where the square stands: what was clicked, else where it costs most."""

    def parse(text: str) -> str | None:
        parts, most = text.split(","), found.label.shape
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            return None
        return text if all(int(part) < n for part, n in zip(parts, most, strict=True)) else None

    address.prepare("place", "", parse)
    chosen = parse(st.session_state["place"]) or ""
    address.record("place", chosen, "")
    if chosen:
        row, col = map(int, chosen.split(","))
        return row, col
    return divmod(int(found.probability.argmin()), found.label.shape[1])
