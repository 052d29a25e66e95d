"""The view of dropout: masks on a real layer, their mean beside the scaled pass, and the evidence that stays."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.drawing import drawing, drawing_data
from app.components.motion.player import Motion, Reel, ReelFrame, offer_motion
from app.components.picture import picture, picture_data
from app.components.plots import plot
from app.pickers import controls
from app.session import shared
from app.session.networks import Network
from app.url import address
from app.views.noise import results
from app.views.noise.results import SHOWN, DropoutSetting
from cnnviz.errors import BadInput
from cnnviz.figures.base.charts import share_text, value_text
from cnnviz.figures.base.scene import Scene
from cnnviz.figures.noise import charts
from cnnviz.figures.noise.answers import answers_scene
from cnnviz.figures.noise.masks import masked_mosaic
from cnnviz.wording import plural

SHOW = ["Masks", "Mean", "Evidence"]
ENOUGH = 0.75  # of the masks: the answer counts as theirs, too
OF = ["Scores", "Probabilities"]
RATES = [10, 20, 30, 50, 70, 90]  # per cent
PACE = 700  # milliseconds a mask
MANY, MASKS = 256, 2000  # passes of a mean; masks of the evidence, which cost next to nothing
OFFERED = ("nin_cifar10", "efficientnet_lite0", "squeezenet1_0")


def view(network: Network, image: str, row: Any) -> None:
    """One of three pictures of dropout."""
    with row:
        show = controls.bind(st.selectbox, "Show", "show", SHOW[0], options=SHOW, width=110)
    if show == "Evidence":
        _evidence(network, image, row)
    else:
        setting = _pick_setting(network, image, row)
        if show == "Masks":
            _masks(setting, row)
        else:
            _mean(setting, row)
    _explained()


def pick_rate(row: Any, usual: int) -> float:
    """The share of what is dropped, 0 … 1."""
    with row:
        options = sorted({*RATES, usual})
        return int(controls.bind(st.selectbox, "Dropped [%]", "rate", usual, options=options, width=92)) / 100


def pick_seed(row: Any) -> int:
    """The seed of what is drawn at random."""
    with row:
        return int(controls.bind(st.number_input, "Seed", "seed", 0, min_value=0, max_value=999, step=1, width=68))


def pick_draw(row: Any, label: str) -> int:
    """The number of the mask or draw that is looked at, from 0."""
    with row:
        how = {"min_value": 1, "max_value": SHOWN, "step": 1, "width": 68}
        return int(controls.bind(st.number_input, label, "pass", 1, **how)) - 1


def _pick_setting(network: Network, image: str, row: Any) -> DropoutSetting:
    from cnnviz.studies.noise.dropout import set_rate

    layers, at = results.dropout_layers(network), 0
    if layers:
        names = [one.layer for one in layers]
        at = names.index(controls.choose_layer(network, names, names[0], "Dropout layer"))
    else:
        layers = (results.assumed_layer(network),)
        title = shared.facts(network)["title"]
        results.offer_networks(
            f"{title} has no dropout layer that could be shown; here it is put in behind {layers[0].layer}, assumed.",
            OFFERED,
        )
    usual = round(100 * layers[at].rate)
    rate = pick_rate(row, usual)
    if round(100 * rate) != usual:
        layers = tuple(set_rate(one, rate) for one in layers)
    return DropoutSetting(network, image, layers, at, pick_seed(row))


# --- masks ---------------------------------------------------------------------------------------------------


def _masks(setting: DropoutSetting, row: Any) -> None:
    number = pick_draw(row, "Mask")
    found = results.passes(setting, SHOWN)
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        maps, layer = results.units(setting), setting.layer
        drawn = masked_mosaic(maps, setting.keep(number))
        picture(drawn.png, drawn.size, f"Units of {layer.layer} under mask {number + 1}", "dropout_units")
    if found is None:
        return
    with right:
        alt = f"Answers under {SHOWN} masks"
        drawing([_draw_answers(setting, found, number)], [alt], "dropout_answers", least=0.7)
    motion = Motion(
        "the mask", [f"mask {k + 1} of {SHOWN}" for k in range(SHOWN)], number, PACE, closed=True, stale=("pass",)
    )

    def frame(k: int) -> ReelFrame:
        mosaic = masked_mosaic(maps, setting.keep(k))
        return {
            "dropout_units": picture_data(mosaic.png, mosaic.size),
            "dropout_answers": drawing_data([_draw_answers(setting, found, k)], [alt]),
        }

    with row:
        recipe = (*setting.key, setting.at)
        make = lambda: Reel([frame(k) for k in range(SHOWN)])  # noqa: E731
        offer_motion(motion, "motion", lambda place: address.choose("pass", place + 1), recipe, make)
    _say_masks(setting, found)


def _draw_answers(setting: DropoutSetting, found: Any, number: int) -> Scene:
    rows = [(f"mask {k + 1}", found.probabilities[k]) for k in range(SHOWN)]
    rows += [(f"mean of {SHOWN}", found.probabilities.mean(0)), ("no mask", found.scaled_probabilities)]
    return answers_scene(rows, shared_names(setting.network), number, (SHOWN, SHOWN + 1))


def shared_names(network: Network) -> list[str]:
    """The names of the classes, one an output."""
    return list(network.model.class_names)


def _say_masks(setting: DropoutSetting, found: Any) -> None:
    from cnnviz.studies.noise.dropout import log10_masks

    layer = setting.layer
    what = "channels" if layer.whole else "units"
    same = int((found.probabilities.argmax(1) == found.scaled_probabilities.argmax()).sum())
    power = f"$2^{{{layer.units}}} \\approx 10^{{{log10_masks(layer.units):.0f}}}$"
    why = "it hangs on which units are there"
    if same >= ENOUGH * SHOWN:
        why = "the evidence is spread over many units"
    st.write(
        f"`{layer.layer}` drops each of its {layer.units:,} {what} with probability {100 * layer.rate:.0f} % (grey), "
        f"anew for every image of every batch, here at random from the seed; there are {power} masks. In evaluation "
        f"there is none. **Notice** that {same} of {SHOWN} masks leave the answer as it is without one: {why}."
    )


# --- the mean of many masks ----------------------------------------------------------------------------------


def _mean(setting: DropoutSetting, row: Any) -> None:
    from cnnviz.studies.noise.dropout import monte_carlo_error

    with row:
        of = controls.bind(st.selectbox, "Mean of", "of", OF[0], options=OF, width=128)
        many = int(controls.bind(st.selectbox, "Passes", "passes", MANY, options=[64, MANY, 1024], width=100))
    found = results.passes(setting, many)
    if found is None:
        return
    values, scaled = (
        (found.probabilities, found.scaled_probabilities) if of == "Probabilities" else (found.logits, found.scaled)
    )
    error = monte_carlo_error(values, scaled)
    curves, answers = st.columns([1.35, 1], gap="medium")
    with curves:
        plot(charts.error_figure(error), "Error of the mean over passes", "mean_error", "dropout-monte-carlo")
    with answers:
        rows = [(f"mask {k + 1}", found.probabilities[k]) for k in range(6)]
        rows += [(f"mean of {count}", found.probabilities[:count].mean(0)) for count in (4, 16, many)]
        rows.append(("no mask", found.scaled_probabilities))
        drawn = answers_scene(rows, shared_names(setting.network), None, (6, 7, 8, 9))
        drawing([drawn], ["Single masks, means and the pass without"], "mean_answers", least=0.7)
    noise = float(error.expected[0]) / many**0.5
    st.write(
        f"The mean of T passes nears the mean of all masks like σ/√T: four times the passes, half the error; here "
        f"σ = {value_text(float(error.expected[0]))}. Evaluation takes one pass without a mask instead. **Notice** "
        f"the distance between the two: {value_text(error.gap)} for {many} masks, where chance alone gives about "
        f"{value_text(noise)}. {_explain_gap(error.gap, noise)}"
    )


def _explain_gap(gap: float, noise: float) -> str:
    if gap < 2 * noise:
        return (
            "They agree: where only linear layers follow the dropout, the mean of the scores is the score of the mean."
        )
    return (
        "They do not agree: ReLUs, maxima or the softmax follow the dropout, and the mean of those is another number."
    )


# --- evidence ------------------------------------------------------------------------------------------------


def _evidence(network: Network, image: str, row: Any) -> None:
    from cnnviz.studies.noise.evidence import draw_keeps

    rate, seed = pick_rate(row, 50), pick_seed(row)
    number = pick_draw(row, "Mask")
    try:
        found = results.evidence(network, image)
    except BadInput as error:
        results.offer_networks(str(error), ("resnet20_cifar", *OFFERED))
        return
    names = shared_names(network)
    pair = names[found.first], names[found.second]
    keeps = draw_keeps(len(found.added), rate, MASKS, seed)
    margins = found.under(keeps, rate)
    left, right = st.columns(2, gap="medium")
    with left:
        figure = charts.evidence_figure(found, keeps[number], pair)
        plot(figure, f"What each feature adds for {pair[0]}", "evidence_bars", "dropout-evidence")
    with right:
        drawn = charts.margin_figure(margins, found.margin, float(margins[number]), found.spread(rate), pair)
        plot(drawn, f"Margin of {pair[0]} under {MASKS} masks", "evidence_margins", "dropout-margins")
    stays = float((margins > 0).mean())
    many = plural(int((found.added > 0).sum()), "feature")
    why = f"{many} speak for it, but both classes are so close that a mask decides"
    if stays >= ENOUGH:
        why = f"with {many} that speak for it none is indispensable, which is the redundancy that dropout asks for"
    st.write(
        f"Dropout on the {plural(len(found.added), 'feature')} that enter the classifier, {MASKS:,} masks at random. "
        f"All features: {pair[0]} is {value_text(found.margin)} ahead of {pair[1]} (green line); this mask: "
        f"{value_text(float(margins[number]))} (orange). Over masks: mean {value_text(float(margins.mean()))}, "
        f"standard deviation {value_text(float(margins.std()))}, {value_text(found.spread(rate))} by the formula. "
        f"**Notice** that {pair[0]} stays ahead under {share_text(stays)} of the masks: {why}."
    )


def _explained() -> None:
    with st.expander("Formula and source"):
        st.latex(
            r"\text{training: } y=\frac{m\odot x}{1-p},\; m_i\sim\mathrm{Bernoulli}(1-p)\qquad"
            r"\text{evaluation: } y=x"
        )
        st.write(
            "p is the probability to be dropped. Srivastava et al. leave training unscaled and multiply by the "
            "probability to be **kept**, 1 − p, in evaluation; lecture notes that say “by the dropout probability” are "
            "right at p = 0.5 only. PyTorch divides by 1 − p in training (“inverted dropout”), as here: the mean over "
            "masks is the same. Dropout is not for dense layers alone: Network in Network has it behind pooling, "
            "wide ResNets between two convolutions. A dense layer of 4,096 units has 2^4096 ≈ 10^1233 masks. Margin of "
            "two classes a and b: Σ (w_a − w_b) · x + b, maps averaged first, before a last ReLU if there is one; its "
            "variance over masks is p/(1 − p) · Σ ((w_a − w_b) · x)². Sources: Srivastava et al., JMLR 15, 2014; mean "
            "of many masks in evaluation (Monte-Carlo dropout): Gal and Ghahramani, ICML 2016, arXiv:1506.02142; Lin "
            "et al., ICLR 2014, arXiv:1312.4400; Zagoruyko and Komodakis, BMVC 2016, arXiv:1605.07146."
        )
