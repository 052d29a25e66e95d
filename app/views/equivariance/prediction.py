"""The view of answers: the wobble of one image over shifts, and consistency over a corpus on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.plots import plot
from app.jobs import studies
from app.markdown import escape_markdown
from app.pickers import controls
from app.pickers.corpus import pick_corpus
from app.session.cache import picture_cache
from app.views.equivariance.results import REACH, ShiftSetting, is_quick
from cnnviz.figures.equivariance.charts import wobble_figure
from cnnviz.figures.equivariance.words import changed_sentence, consistency_table
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.studies.equivariance.consistency import Consistency, Wobble

COUNTS = [50, 200, 1000, 10_000]
Measured = dict[str, "Consistency"]


def view(setting: ShiftSetting) -> None:
    """The curves of the five likeliest classes, then the corpus."""
    offsets = np.arange(-REACH, REACH + 1)
    found = _wobble(setting, offsets)
    if found is not None:
        top = found.top(5)
        names = [found.class_names[c] for c in top]
        figure = wobble_figure(offsets, found.probabilities[:, top], names)
        plot(figure, "Probabilities over shifts", "wobble", f"{setting.network.model.name}-wobble")
        st.markdown(changed_sentence(found.changed, len(offsets)))
    st.write(
        "What the network answers while the photograph moves to the right or left, pixel by pixel. **Notice** the "
        "jumps between neighbouring pixels: to the eye the picture is the same."
    )
    st.subheader("Over many images")
    _corpus(setting)
    with st.expander("Formula and source"):
        st.write(
            "Consistency: share of images whose two random crops get the same class (Zhang, ICML 2019, "
            "arXiv:1904.11486, section 4). P(top-1 changes): share of images whose class changes when the contents "
            "move by one pixel down and right; mean change: of the probability of the class that was first (Azulay and "
            "Weiss, JMLR 2019, arXiv:1805.12177, section 2). ± is one standard error. Zhang's figures are for "
            "ImageNet's 50,000 validation images, Azulay and Weiss's (2018, first version) for 200 of them: the true "
            "class leaves or joins the five most probable ones; other images give other figures. "
            "Blur-pooling here comes without the training that the paper gives it."
        )


def _wobble(setting: ShiftSetting, offsets: np.ndarray) -> Wobble | None:
    recipe = ("wobble", *setting.key)

    def make(progress: Any = None) -> Wobble:
        from cnnviz.studies.equivariance.consistency import measure_wobble

        shifts = np.stack([0 * offsets, offsets], 1)
        return measure_wobble(setting.model, setting.pixels(REACH), shifts, setting.padding, setting.how, progress)

    if is_quick(setting, len(offsets)):
        return picture_cache().get(recipe, make)
    return studies.result("wobble", recipe, "Answers over shifts", make)


def _corpus(setting: ShiftSetting) -> None:
    """Its picker, a button, and a table with the published figures below the measured ones."""
    images, row = pick_corpus(setting.network, "Images")
    with row:
        count = int(controls.bind(st.selectbox, "Number", "images", COUNTS[0], options=COUNTS, width=105))
    taken = images.take(count)
    found: Measured | None = studies.result(
        "consistency",
        ("consistency", setting.network.key, setting.padding, setting.blur, taken.fingerprint),
        f"Measure over {plural(len(taken), 'image')}",
        lambda progress: _measure(setting, taken, progress),
        at_once=False,
    )
    measured = {
        name: (one.consistency, one.change, one.mean_change, one.standard_error, len(one.ids))
        for name, one in (found or {}).items()
    }
    st.table(consistency_table(measured, *_published()))
    if found and (skipped := next(iter(found.values())).skipped):
        st.caption(f"{plural(len(skipped), 'image')} could not be read, the first: {escape_markdown(skipped[0][1])}")


def _measure(setting: ShiftSetting, images: Corpus, progress: Any) -> Measured:
    """The network, and with blur-pooling its copy as well."""
    from cnnviz.studies.equivariance.consistency import measure_consistency

    network = setting.network.model
    models = {network.name: network}
    if setting.blur:
        models[f"{network.name}, blur-pooled, not retrained"] = setting.model
    return {
        name: measure_consistency(model, images, padding=setting.padding, progress=progress)
        for name, model in models.items()
    }


def _published() -> tuple[list[tuple[str, float, float]], tuple[str, float]]:
    """(network, consistency, accuracy) of Zhang, and (network, jaggedness) of Azulay and Weiss, %."""
    from cnnviz.studies.equivariance.published import CONSISTENCY, JUMPS

    return [(one.network, one.consistency, one.accuracy) for one in CONSISTENCY], (JUMPS.network, JUMPS.jaggedness)
