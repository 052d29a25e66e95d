"""The view of training and evaluation: one image in growing company, normalised by the statistics of its batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.picture import Frame, Label, picture
from app.components.plots import plot
from app.markdown import as_literal
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.normalisation import results
from cnnviz.figures.base.charts import share_text
from cnnviz.figures.normalisation.company import TILE, answers_figure, batch_strip, spread_figure
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.normalisation.company import CompanyAnswers, CompanySpread

SHARES = 1.75, 1.0  # of the width: answers, and beside them the images and many draws


def view(network: Network, image: str, row: Any) -> None:
    """The batch, the answers as its size grows, and how often another class wins."""
    if results.offer_others(network):
        return
    with row:
        seed = results.pick_draw()
    bars, beside = st.columns(SHARES, gap="small")
    with bars:
        found = results.answers(network, image, seed)
        if found is not None:
            figure = answers_figure(found, network.model.class_names)
            plot(figure, "Answers as the batch grows", "company_answers", f"{network.model.name}-batch-size")
    with beside:
        _show_batch(network, image, seed)
    if found is None:
        return
    words = st.container()
    with beside:
        spread = results.spread(network, image)
        if spread is not None:
            name = network.model.class_names[spread.usual]
            figure = spread_figure(spread, name)
            plot(
                figure, f"Answers over {plural(results.DRAWS, 'draw')}", "company_spread", f"{network.model.name}-draws"
            )
    with words:
        _tell(network, found, spread)
    _explain()


def _show_batch(network: Network, image: str, seed: int) -> None:
    sizes = [count + 1 for count in results.COMPANIONS]
    drawn = picture_cache().get(
        ("company batch", network.key, image, seed),
        lambda: batch_strip(results.draw_batch(network, image, results.COMPANIONS[-1], seed), sizes),
    )
    picture(
        drawn.png,
        drawn.size,
        "The batch: the image and its companions",
        "company_batch",
        [Frame(0, 0, TILE, TILE)],
        labels=[Label(*words) for words in drawn.words],
    )


def _tell(network: Network, found: CompanyAnswers, spread: CompanySpread | None) -> None:
    names, usual = list(map(as_literal, network.model.class_names)), int(found.evaluation.argmax())
    others = [
        f"with {plural(int(count), 'companion')} **{names[int(row.argmax())]} {share_text(float(row.max()))}**"
        for count, row in zip(found.companions, found.training, strict=True)
        if not np.isnan(row[0]) and int(row.argmax()) != usual
    ]
    sure = share_text(float(found.evaluation[usual]))
    answer = f"In evaluation the answer is **{names[usual]} {sure}**, whatever else is in the batch. "
    changed = (
        f"By the statistics of its batch the same image is {', '.join(others)}. "
        if others
        else "In this draw the same class wins by the statistics of every batch, with another probability. "
    )
    often = ""
    if spread is not None:
        shares = ", ".join(
            f"{100 * share:.0f} % with {count}" for count, share in zip(spread.companions, spread.changed, strict=True)
        )
        often = f"Of {plural(len(spread.winners), 'draw')} of companions another class wins in {shares}. "
    st.write(
        f"{answer}{changed}{often}**Notice** that an answer may not depend on which images happen to be tested "
        "together: normalise by statistics of the training set, which the running averages keep. Statistics of the "
        "test batch are leakage from one test image to another."
    )
    for count, problem in zip(found.companions, found.problems, strict=True):
        if problem:
            st.caption(
                f"A batch of {count + 1}: a layer has a single value a channel, whose variance is 0, and PyTorch "
                f"refuses: “{as_literal(problem)}”"
            )


def _explain() -> None:
    with st.expander("Formula and source"):
        st.latex(
            r"\hat x=\frac{x-\mu}{\sqrt{\sigma^2+\epsilon}},\quad y=\gamma\hat x+\beta\qquad"
            r"\text{training: }\mu,\sigma^2\text{ of the batch}\qquad"
            r"\text{evaluation: the running averages, }\mu\leftarrow(1-m)\,\mu+m\,\mu_B\text{ in each training step}"
        )
        st.write(
            "In training every batch norm takes mean and variance over the N images and all places of the batch, for "
            "each channel; here in all layers at once, while dropout stays off and the running averages are not "
            "updated. In evaluation it takes the running averages of training, and images do not touch each other. A "
            "batch of one still has H·W values a channel. Where maps are 1×1, or behind a fully connected layer, it "
            "has one, whose variance is 0: PyTorch raises an error, “Expected more than 1 value per channel when "
            f"training”. Companions are drawn at random by the seed *Draw* from {results.POOL} sample images, without "
            f"those of the same photograph; the page opens on draw {results.DRAW}, one of those in which ResNet-20 "
            "changes its answer. Source: Ioffe and Szegedy, *Batch normalization*, ICML 2015, arXiv:1502.03167, "
            "sections 3 and 3.1."
        )
