"""The view of descent: gradient descent with noise of the batch, and with learning rates from small to too large."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.plots import plot
from app.pickers import controls
from app.views.playground.input import whole
from cnnviz.figures.normalisation.curves import bowls_figure
from cnnviz.wording import plural

BATCHES, RATES = "Batches", "Learning rates"
SIZES, SHARES = (1, 10, 100), (10, 50, 95, 105)  # points of a batch; % of the largest stable rate
START, STEPS, POINTS, RATIO, HEIGHT = np.array((-1.6, 1.3)), 60, 100, 2.0, 430
PERCENT = 20  # of the largest stable rate of all points: a single point has far larger curvatures


def view(row: Any) -> None:
    """Three batches at one rate, or four rates with all points."""
    from cnnviz.studies.normalisation.descent import made_problems

    with row:
        compare = controls.bind_choice("Compare", "steps_by", [BATCHES, RATES])
        seed = whole("Seed", "dseed", 0, 0, 999)
    problem = made_problems(RATIO, seed, POINTS)[0]
    if compare == BATCHES:
        _batches(problem, seed)
    else:
        _rates(problem)
    with st.expander("Formula and source"):
        st.latex(
            r"w\leftarrow w-\eta\,\frac1{|B|}\sum_{i\in B}x_i\,(x_i\cdot w-y_i),\qquad "
            r"\mathrm{Cov}=\frac1{|B|}\,\mathrm{Cov}_i\bigl(x_i(x_i\cdot w-y_i)\bigr),"
            r"\qquad \eta<\frac2{\lambda_{\max}}"
        )
        st.write(
            f"Linear regression with two features of {POINTS} made points, one spread {RATIO:g} times as widely, drawn "
            "by the seed, as the batches are, with replacement; the star is the minimum. At the minimum the mean "
            "gradient is 0 and the noise is not, so that a constant rate never comes to rest: it is lowered, or the "
            "batch raised. Sources: Robbins and Monro 1951; Bottou, Curtis, Nocedal, SIAM Review 60, 2018, section 4."
        )


def _batches(problem: Any, seed: int) -> None:
    from cnnviz.studies.normalisation.descent import descend_batches, gradient_noise

    rate, bowls, told = PERCENT / 100 * problem.largest_rate, [], []
    for size in SIZES:
        path = descend_batches(problem, rate, problem.best + START, STEPS, size, seed)
        noise = 0.0 if size == POINTS else float(np.sqrt(np.trace(gradient_noise(problem, problem.best, size))))
        away = float(np.linalg.norm(path[-STEPS // 3 :] - problem.best, axis=1).mean())
        bowls.append((f"<b>batch {size}</b>{' (all)' if size == POINTS else ''}", problem, path))
        told.append(f"{size}: noise of the gradient at the minimum {noise:.2g}, mean distance at the end {away:.2g}")
    plot(bowls_figure(bowls, HEIGHT), "Descent with batches of three sizes", "descent_batches", "descent-batches")
    st.write(
        f"{plural(STEPS, 'step')} at one learning rate, η = {rate:.2g}, with the gradient of a random batch. By batch, "
        f"{'; '.join(told)}. **Notice** that the noise falls as the root of the batch, that all paths lead downhill, "
        "and that a single point costs a hundredth of a full step."
    )


def _rates(problem: Any) -> None:
    from cnnviz.studies.normalisation.descent import descend

    bowls, told = [], []
    for share in SHARES:
        rate = share / 100 * problem.largest_rate
        path = descend(problem, rate, problem.best + START, STEPS // 2)
        bowls.append((f"<b>η = {rate:.2g}</b>, {share} %", problem, path))
        left = float(np.linalg.norm(path[-1] - problem.best) / np.linalg.norm(START))
        told.append(f"{share} %: {left:.2g}")
    plot(bowls_figure(bowls, HEIGHT), "Descent at four learning rates", "descent_rates", "descent-rates")
    st.write(
        f"The same bowl at four learning rates, in % of the largest stable one, 2/λmax = {problem.largest_rate:.3g}. "
        f"Of the distance there is left after {plural(STEPS // 2, 'step')} – {'; '.join(told)}. **Notice** that a "
        "small rate creeps, half of the limit goes straight down the steep direction, close to it the path overshoots "
        "at every step, and beyond it the loss grows."
    )
