"""The views of the page of loss landscapes that show what was computed already: 3-D, contours, slices, training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.downloads import save
from app.components.motion.player import Motion, Reel, offer_motion
from app.components.plots import as_page, plot
from app.markdown import as_literal
from app.pickers import bar, controls
from app.url import address
from app.views.landscape import catalogue
from app.views.landscape.catalogue import NONE, ShownLandscape
from cnnviz.figures.landscape.lines import slices_figure
from cnnviz.figures.landscape.plots import CAMERA, SurfacePanel, contours_figure, surfaces_figure, turn_camera
from cnnviz.figures.landscape.scale import LossScale, common_scale
from cnnviz.figures.landscape.words import SLICE, centre_note, provenance

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.landscape.results import Surface, Trajectory

TURNS, TURN_PACE, ARROW = 180, 55, 6  # places of one turn, milliseconds and places that an arrow key turns by
HEIGHT, BRIEF = 560, 400  # pixels of a picture; with a panel below it
MEDIAN_NOTE = "This is a median over slices, not a slice and not the landscape."
CUTS = ["10", "5", "100", "none"]  # nats


def pick_pair() -> list[str]:
    """The networks of the two panels, in the bar; the second may be none."""
    offered = catalogue.names()
    first, second = catalogue.default_pair(offered)
    with bar.slot("network"):
        left = controls.bind(
            st.selectbox, "Network, left", "left", first, options=offered, format_func=catalogue.label, width=190
        )
        rest = [name for name in offered if name != left]
        second = second if second in rest else next((n for n in (first, *rest) if n in rest), NONE)
    with bar.slot("weights"):
        right = controls.bind(
            st.selectbox,
            "Network, right",
            "right",
            second,
            options=[*rest, NONE],
            format_func=catalogue.label,
            width=190,
        )
    return [left] if right == NONE else [left, right]


def pick_seed(names: list[str]) -> str:
    """The plane: a seed that all panels have, or the median; a button rolls the directions anew."""
    seeds = catalogue.seeds(names)
    if len(seeds) < 2:
        return seeds[0] if seeds else ""
    with bar.slot("layer"), st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        seed = controls.bind(st.selectbox, "Directions, seed", "seed", seeds[0], options=seeds, width=150)
        following = seeds[(seeds.index(seed) + 1) % len(seeds)]
        st.button(
            "Re-roll",
            key="reroll",
            on_click=address.choose,
            args=("seed", following),
            help="A new pair of random directions. What stays the same is no accident of the slice.",
        )
    return seed


def pick_heights() -> tuple[bool, float | None]:
    """(whether losses are drawn on a log scale, above which they are cut): for `common_scale`."""
    log = controls.bind_choice("Loss", "heights", ["Log", "Linear"]) == "Log"
    cut = controls.bind(st.selectbox, "Cut above", "cut", CUTS[0], options=CUTS, width=100)
    return log, None if cut == "none" else float(cut)


def pick_scale(found: list[Surface]) -> LossScale:
    """One scale for all panels: log or linear, and where it is cut."""
    return common_scale([one.loss for one in found], *pick_heights())


def camera() -> tuple[float, ...]:
    """From where the surfaces are seen; a turn of the page's surfaces is kept in the URL."""
    usual = _text(CAMERA)
    address.prepare("camera", usual, lambda text: text if _eye(text) else None)
    text = st.session_state["camera"]
    address.record("camera", text, usual)
    return _eye(text) or CAMERA


def _eye(text: str) -> tuple[float, ...] | None:
    """ "1.4,-1.5,1.2" as numbers; None for anything else, or a place too near or too far to see from."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return numbers if len(numbers) == 3 and 0.05 < sum(n * n for n in numbers) < 400 else None


def _text(eye: Sequence[float]) -> str:
    return ",".join(f"{part:.2f}" for part in eye)


def turned(eye: list[float]) -> None:
    """A callback: the surfaces are seen from elsewhere now."""
    address.choose("camera", _text(eye))


def _offer_turn(row: Any, eye: tuple[float, ...]) -> None:
    """Let the surfaces turn once about the vertical, back to where they are seen from now."""
    eyes = turn_camera(eye, TURNS)
    degrees = [f"{round(360 * place / TURNS)}°" for place in range(TURNS + 1)]
    with row:
        offer_motion(
            Motion("the turn", degrees, 0, TURN_PACE, jump=ARROW, closed=True),
            "motion",
            lambda place: turned(list(eyes[place])),
            (eye,),
            lambda: Reel([{"surfaces": {"camera": [round(part, 3) for part in one]}} for one in eyes]),
            at_once=True,
        )


def panels(chosen: list[ShownLandscape]) -> list[SurfacePanel]:
    """One for each network, with what it reaches itself."""
    return [SurfacePanel(one.title, one.surface, centre_note(one.surface)) for one in chosen]


def surfaces(chosen: list[ShownLandscape], row: Any) -> None:
    """The surfaces in 3-D, cameras linked."""
    with row:
        scale = pick_scale([one.surface for one in chosen])
    eye = camera()
    figure = surfaces_figure(panels(chosen), scale, HEIGHT, eye)
    name = name_of(chosen)
    plot(figure, f"Loss surfaces of {titles_of(chosen)}", "surfaces", name, on_camera=turned)
    _offer_turn(row, eye)
    saves(figure, chosen, name)
    st.write(
        "The loss of each network when all its weights move along two random directions. **Notice** how smoothly the "
        f"bowl falls, and how far from the centre it stays one bowl. {scale.sentence()} **{caution(chosen)}**"
    )


def contours(
    chosen: list[ShownLandscape],
    row: Any,
    point: tuple[float, float] | None,
    choose: Callable[[Any], None],
    answers: Callable[[], None],
) -> None:
    """The planes from above; a click chooses a point, and `answers` draws what is there."""
    with row:
        scale = pick_scale([one.surface for one in chosen])
    figure = contours_figure(panels(chosen), scale, BRIEF if point else HEIGHT, point)
    name = f"{name_of(chosen)}-contours"
    plot(figure, f"Contours of {titles_of(chosen)}", "contours", name, on_point=choose)
    answers()
    saves(figure, chosen, name)
    st.write(
        "The same planes from above, with lines at losses of 0.1, 0.6, … 9.6 nats. **Notice** whether the lines are "
        f"convex. Click a point to ask the network that lies there. {scale.sentence()} **{caution(chosen)}**"
    )


def slices(chosen: list[ShownLandscape], row: Any) -> None:
    """One-dimensional slices with accuracy and standard errors."""
    with row:
        along = 1 if controls.bind_choice("Along", "along", ["Direction 1", "Direction 2"]) == "Direction 1" else 2
        log = controls.bind_choice("Loss", "lines", ["Linear", "Log"]) == "Log"
    figure = slices_figure(panels(chosen), along, log, [one.others for one in chosen], HEIGHT)
    name = f"{name_of(chosen)}-direction{along}"
    plot(figure, f"Slices of {titles_of(chosen)}", "slices", name)
    saves(figure, chosen, name)
    faint = " Faint lines: other direction pairs." if any(one.others for one in chosen) else ""
    bars = "one direction through the network; bars are one standard error over the images"
    if any(one.is_median for one in chosen):
        bars = "one direction, each the median over the planes; bars are half the distance of the quartiles"
    st.write(
        f"Loss (blue) and accuracy (orange, dashed) along {bars}; losses are drawn up to 5 nats. **Notice** how wide "
        f"the valley is.{faint} **{caution(chosen)}**"
    )


def caution(chosen: list[ShownLandscape]) -> str:
    """What a picture of these landscapes is not."""
    return MEDIAN_NOTE if any(one.is_median for one in chosen) else SLICE


def saves(figure: Figure, chosen: list[ShownLandscape], name: str, path: Trajectory | None = None) -> None:
    """Buttons for the figure as a page and the numbers as tables, those of a training's path too; PNG and SVG stand
    beside the figure itself."""
    with st.container(horizontal=True, gap="small"):
        save("HTML", lambda: as_page(figure), f"{name}.html", "text/html", "save_html")
        for one in chosen:
            label = f"CSV, {one.title}" if len(chosen) > 1 else "CSV"
            save(label, one.surface.csv, f"{one.name}-landscape.csv", "text/csv", f"save_csv_{one.name}")
        if path is not None:
            save("CSV, path", path.csv, f"{name}-path.csv", "text/csv", "save_csv_path")


def sources(chosen: list[ShownLandscape]) -> None:
    """Formula, source, and what each surface was computed on."""
    with st.expander("Formula and source"):
        st.latex(
            r"f(\alpha,\beta)=L(\theta^*+\alpha\,\delta+\beta\,\eta),\qquad "
            r"\delta_{i,j}\leftarrow\frac{\delta_{i,j}}{\lVert\delta_{i,j}\rVert}\,\lVert\theta^*_{i,j}\rVert"
        )
        st.write(
            "Li, Xu, Taylor, Studer, Goldstein, NeurIPS 2018 (arXiv:1712.09913). δ and η are Gaussian; each filter j "
            "of layer i is scaled to the norm of the network's own, so that networks of different scale can be "
            "compared; biases and batch normalisation do not move. L is the mean cross-entropy over the images, "
            "without augmentation, binary where a network ends in a sigmoid over several classes; errors are standard "
            "errors of that mean."
        )
        for one in chosen:
            st.caption(f"**{as_literal(one.title)}**: {as_literal(provenance(one.surface))}.")


def titles_of(chosen: list[ShownLandscape]) -> str:
    """ "ResNet-20 and Plain-20"."""
    return " and ".join(one.title for one in chosen)


def name_of(chosen: list[ShownLandscape]) -> str:
    """For files: the names of what is shown."""
    return "-".join(one.name for one in chosen).replace("/", "_").replace(":", "_")
