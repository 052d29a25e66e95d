"""Evolution of filters: what channels of a layer answer to most at each kept moment of a training, and how near each
layer is to its final filters."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app.components.picture import Frame, Label, picture
from app.components.plots import plot
from app.jobs import studies
from app.jobs.background import Report
from app.markdown import as_code, escape_markdown
from app.pickers import bar
from app.session import networks, run_weights, shared
from app.session.cache import picture_cache, study_cache
from app.session.networks import Choice, Network
from app.url import address
from app.url.address import bind_choice
from app.views.training import moment as moments
from app.views.training import runs
from app.views.training.moment import Moment
from cnnviz.errors import CnnvizError
from cnnviz.figures.training.evolution import convergence_figure, evolution_picture, place_moments
from cnnviz.studies.learning.convergence import Convergence, describe_convergence, find_layer_order, measure_convergence
from cnnviz.studies.learning.evolution import CHANNELS, MOMENTS, FollowedChannels, choose_moments, follow_channels
from cnnviz.training.record.curves import count_epochs
from cnnviz.training.record.result import RecordedRun
from cnnviz.wording import plural

HEIGHT, LOW = 560, 380  # pixels of the curves beside the grid, and below it
USUAL = "bundled:resnet56_cifar"
MOST = 8  # channels that may be chosen
_LOOKED = 6  # runs that are asked whether they keep weights, for the one that the view opens on
_AT_ONCE = 2**28  # bytes of weights that are read without being asked
_BESIDE = 8  # moments of a grid that has room beside the curves


def view(row: Any) -> None:
    """Controls, the grid beside the curves, and what the curves say."""
    names = runs.list_names("run")
    with row:
        name = address.bind(
            st.selectbox, "Run", "run", _default(names), options=names, format_func=runs.label, width=200
        )
    try:
        run = runs.read(name)
    except CnnvizError as error:
        st.info(escape_markdown(str(error)), icon=":material/search_off:")
        return
    if len(run.snapshots) < 2:
        st.info(_tell_too_few(run), icon=":material/search_off:")
        return
    with bar.panel():
        moment = moments.pick_moment(run, st.container())
        assert moment is not None  # weights are kept
    found = _measure(run)
    network, problem = _find_network(run)
    layer = _pick_layer(network, row) if network is not None else ""
    channels = _pick_channels(network, layer, row) if network is not None else []
    with row:
        log = bind_choice("Time", "timescale", ["Even", "Log"]) == "Log"
    with bar.panel():
        moments.tell_moment(moment)
        moments.offer_network(moment, layer)
    steps = choose_moments(run.snapshots)
    beside = len(steps) <= _BESIDE
    left, right = st.columns([0.45, 0.55]) if beside else (st.container(), st.container())
    with left:
        followed = _follow(run, network, layer, channels, steps) if network is not None else None
        if followed is not None:
            _draw_grid(run, followed, moment)
        elif network is None:
            st.info(f"What the channels answer to cannot be shown: {escape_markdown(problem)}")
    with right:
        if found is not None:
            _draw_curves(run, found, layer, moment, log, HEIGHT if beside else LOW)
    if found is not None:
        _tell(run, found, followed)


def _default(names: list[str]) -> str:
    """Of the runs chosen beside the curves, the newest own ones and those that come with cnnviz the first that keeps
    the weights of two moments."""
    chosen = [name for name in names if name in address.read("runs").split(",")]
    for name in [*chosen, *[one for one in names if not one.startswith("bundled:")][:_LOOKED]]:
        try:
            if len(runs.read(name).snapshots) > 1:
                return name
        except CnnvizError:
            continue
    return USUAL if USUAL in names else names[0]


def _tell_too_few(run: RecordedRun) -> str:
    if not run.snapshots:
        return "This run keeps no weights (yet), so that nothing of its filters can be shown over time. Choose another."
    only = moments.describe(run, next(iter(run.snapshots)))
    return (
        f"Of this run the weights of one moment are kept, {only}: an evolution needs two. Choose another, or record "
        "one with `cnnviz.record(…)`, which keeps up to 24 moments."
    )


# --- what is measured ------------------------------------------------------------------------------------


def _stamp(run: RecordedRun, steps: list[int]) -> tuple:
    """Names the files of these moments; another one when the run is trained anew."""
    return tuple((step, *_told(run, step)) for step in steps)


def _told(run: RecordedRun, step: int) -> tuple[int, int]:
    try:
        told = run.snapshots[step].stat()
    except OSError:  # thinned out this moment, which reading says
        return 0, 0
    return told.st_mtime_ns, told.st_size


def _measure(run: RecordedRun) -> Convergence | None:
    """The cosines of all kept moments; None while they are computed, and where they cannot be, which is said."""
    recipe = ("convergence", run.name, _stamp(run, list(run.snapshots)))

    def make(report: Report | None = None) -> Convergence:
        return measure_convergence(run.snapshots, find_layer_order(run), report)

    if sum(size for _step, _time, size in recipe[2]) > _AT_ONCE:
        found: Convergence | None = studies.result("convergence", recipe, "Cosines to the final filters", make)
        return found
    try:
        return study_cache().get(recipe, make)
    except CnnvizError as error:
        st.info(escape_markdown(str(error)), icon=":material/search_off:")
        return None


def _find_network(run: RecordedRun) -> tuple[Network | None, str]:
    """The network at the last moment, or why cnnviz cannot show it."""
    name, problem = run_weights.network_of(run.name)
    if not name:
        return None, problem
    try:
        return networks.load(Choice(name, run.name_weights(max(run.snapshots)))), ""
    except CnnvizError as error:
        return None, str(error)


def _follow(
    run: RecordedRun, network: Network | None, layer: str, channels: list[int], steps: list[int]
) -> FollowedChannels | None:
    """What the channels answer to; None while it is computed, with its progress."""
    assert network is not None
    stamp = _stamp(run, steps)
    name, source = network.model.name, "digits" if network.one_channel else "samples"

    def make(report: Report) -> FollowedChannels:
        images = shared.corpus(source)
        return follow_channels(run, layer, channels or None, images, steps, "auto", name, report)

    recipe = ("evolution", run.name, name, layer, tuple(channels), source, stamp)
    small = sum(size for _step, _time, size in stamp) <= _AT_ONCE
    found: FollowedChannels | None = studies.result("evolution", recipe, f"Evolution of {layer}", make, small)
    return found


# --- controls --------------------------------------------------------------------------------------------


def _pick_layer(network: Network, row: Any) -> str:
    options = list(shared.layer_shapes(network))
    with row:
        return address.bind(st.selectbox, "Layer", "layer", _choose_layer(network), options=options, width=160)


def _choose_layer(network: Network) -> str:
    """The deepest block or convolution outside of such a block that sees at most half of the image: its patches are
    motifs."""

    def choose() -> str:
        kinds = shared.layer_kinds(network)
        layers = [name for name in shared.layer_shapes(network) if kinds[name] in ("conv", "block")]
        half = [side / 2 for side in network.input_size[1:]]
        small = []
        for name in layers:
            try:
                size = shared.receptive(network, name).size
            except CnnvizError:  # what it sees is not known
                break
            if size[0] > half[0] or size[1] > half[1]:
                break
            small.append(name)
        whole = [name for name in small if not any(name.startswith(f"{other}.") for other in small)]
        return next(iter([*whole[::-1], *layers, *shared.layer_shapes(network)]))

    return picture_cache().get(("layer to follow", network.key), choose)


def _pick_channels(network: Network, layer: str, row: Any) -> list[int]:
    """The channels chosen by hand; none for those that are strongest."""
    count = shared.layer_shapes(network)[layer][0]
    with row, st.popover("Channels", icon=":material/tune:", width="content"):
        chosen = address.bind_several(
            st.multiselect,
            f"Channels, {MOST} at most",
            "channels",
            [],
            options=[str(channel) for channel in range(count)],
            max_selections=MOST,
            placeholder=f"the strongest {min(CHANNELS, count)}",
            width=300,
        )
        st.caption(
            f"None chosen: {min(CHANNELS, count)} of {plural(count, 'channel')}, the strongest at the last moment, "
            "with different strongest images as far as there are."
        )
    return sorted(int(channel) for channel in chosen[:MOST])


# --- pictures --------------------------------------------------------------------------------------------


def _number(run: RecordedRun, steps: list[int]) -> tuple[list[int], str]:
    """How moments are numbered: by epochs where all of them end one, else by steps."""
    if all(step in run.epoch_at for step in steps):
        return [run.epoch_at[step] for step in steps], "epoch"
    return steps, "step"


def _draw_grid(run: RecordedRun, found: FollowedChannels, moment: Moment) -> None:
    steps = found.steps.tolist()
    numbers, unit = _number(run, steps)
    drawn = evolution_picture(found, numbers, unit)
    place = min(range(len(steps)), key=lambda n: abs(steps[n] - moment.step))
    left, top, wide, high = drawn.columns[place]
    frames = [Frame(left - 2, top - 2, wide + 4, high + 4)] if steps[place] == _kept(run, moment) else []

    def click(x: float, _y: float) -> None:
        if (column := drawn.find_column(x)) is not None:
            moments.choose_nearest(run, steps[column])

    picture(
        drawn.png,
        drawn.size,
        f"Strongest patches and projections of {plural(len(found.channels), 'channel')} of {found.layer} over "
        f"{plural(len(steps), 'moment')}",
        "evolution_grid",
        frames,
        click,
        fill=True,
        labels=[Label(*words) for words in drawn.words],
    )


def _kept(run: RecordedRun, moment: Moment) -> int:
    return run.nearest_snapshot(moment.step)


def _draw_curves(run: RecordedRun, found: Convergence, layer: str, moment: Moment, log: bool, height: int) -> None:
    steps = found.steps.tolist()
    x, title = found.steps.astype(float), "step"
    if np.isfinite(epochs := count_epochs(run, x)).all():
        x, title = epochs, "epoch"
    mark = float(x[steps.index(_kept(run, moment))])
    figure = convergence_figure(found, x, title, layer, mark, log, height)
    places = place_moments(x, log)

    def click(point: list[Any]) -> None:
        if isinstance(point[0], int | float):
            moments.choose_nearest(run, steps[int(np.argmin(np.abs(places - float(point[0]))))])

    alt = f"Cosine of the filters of each layer of {runs.label(run.name)} to the final ones"
    plot(figure, alt, "training_convergence", "training-convergence", on_point=click)


def _tell(run: RecordedRun, found: Convergence, followed: FollowedChannels | None) -> None:
    lines = describe_convergence(found, partial(moments.describe, run))
    st.write(" ".join(lines))
    shown = len(choose_moments(run.snapshots))
    part = "" if shown == len(run.snapshots) else f" (the grid shows {MOMENTS} of {len(run.snapshots)} kept moments)"
    st.write(
        "The grid: a row a channel, a column a moment; each cell is the patch that drives the channel most, above what "
        f"of it the channel responds to{part}. The curves: a line a layer. **Notice** how a patch jumps to another "
        "image while the channel still changes, and from when on it stays."
    )
    with st.expander("Formula, source and values"):
        st.write(
            "Cosine: of each filter, one output channel's weights in a line, with the same filter at the last kept "
            "moment; a line is the mean over a layer, the band the first to third quartile. It is 1 at the last moment "
            "by definition, and a layer of many weights per filter begins near 0 by chance. Projections: deconvnet or "
            "guided backpropagation of the unit alone, one scale a channel, full contrast that of its median moment. "
            "Zeiler and Fergus, ECCV 2014, Figure 4."
        )
        if followed is not None:
            _tell_values(run, followed)


def _tell_values(run: RecordedRun, found: FollowedChannels) -> None:
    images = "drawn digits" if found.image_ids[0].startswith("digit") else "sample photographs and crops of them"
    st.write(f"Strongest activation in {as_code(found.layer)} over {plural(len(found.image_ids), 'image')} ({images}):")
    names = [moments.describe(run, step) for step in found.steps.tolist()]
    table: dict[str, list[str]] = {"moment": names}
    for column, channel in enumerate(found.channels.tolist()):
        table[f"channel {channel}"] = [
            "the same everywhere"
            if image < 0
            else f"{value:.3g}, {escape_markdown(found.image_ids[image])} ({row}, {col})"
            for value, image, row, col in zip(
                found.values[:, column].tolist(),
                found.images[:, column].tolist(),
                found.rows[:, column].tolist(),
                found.cols[:, column].tolist(),
                strict=True,
            )
        ]
    st.table(table)
