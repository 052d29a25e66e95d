"""The views of preprocessing, mean image and channel means, and of feature scaling: bowls and learning rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.picture import labelled_picture
from app.components.plots import plot
from app.pickers import controls
from app.pickers.corpus import default_corpus
from app.session import shared
from app.session.networks import Network
from app.views.normalisation import results
from cnnviz.figures.base.charts import preprocessing_sentence
from cnnviz.figures.normalisation.curves import bowls_figure
from cnnviz.figures.normalisation.preprocessing import preprocessing_strip
from cnnviz.wording import plural

RATIOS = [1, 2, 3, 5, 10, 20]
START, STEPS = np.array((-4.0, 3.0)), 40


def means_view(network: Network, image: str) -> None:
    """The photograph, the mean image or the channel means, and what remains."""
    found, received = results.mean_of_pool(network), shared.received(network, image)
    if found is None:
        return
    labelled_picture(preprocessing_strip(received, found), "The photograph minus a mean", "preprocessing_means")
    many, few = found.image.size, len(found.channels)
    channels = ", ".join(f"{value:.0f}" for value in found.channels)
    source = "drawn digits" if default_corpus(network) == "digits" else "sample images"
    st.write(
        f"Above: minus the mean image, {plural(many, 'number')}, as AlexNet. Below: minus one mean a channel, "
        f"{plural(few, 'number')} ({channels} of 255), as VGG. Both are means of {found.count} {source} that come with "
        f"cnnviz, not of a training set. Around its channel means the mean image deviates by {found.spread:.0f}, the "
        f"images by {found.deviation:.0f}. **Notice** that the two hardly differ: over many photographs every place is "
        "alike. With the training set of CIFAR-10 it is 32 × 32 × 3 = 3,072 numbers against 3."
    )
    with st.expander("What this network expects, and sources"):
        st.write(
            preprocessing_sentence(
                network.model.preprocessing.as_dict() | {"resize": network.model.preprocessing.resize}
            )
        )
        st.write(
            "The statistics belong to the training set, and the same numbers are taken for every test image. Only a "
            "mean a channel fits an image of another size. Sources: Krizhevsky, Sutskever, Hinton, NIPS 2012, section "
            "2; Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556, section 2.1; He et al., CVPR 2016, "
            "arXiv:1512.03385, section 4.2 (CIFAR-10, the mean of each pixel)."
        )


def scaling_view(row: Any) -> None:
    """Gradient descent on the same data, as it is and standardised."""
    from cnnviz.studies.normalisation.descent import descend, made_problems

    with row:
        ratio = int(
            controls.bind(st.select_slider, "Second feature spread", "featurespread", 5, options=RATIOS, width=200)
        )
        percent = int(
            controls.bind(
                st.slider,
                "Learning rate [% of 2/λmax]",
                "descent",
                90,
                min_value=5,
                max_value=120,
                step=5,
                width=260,
                help="Of the largest stable rate of each problem.",
            )
        )
        seed = int(
            controls.bind(st.number_input, "Data seed", "dataseed", 0, min_value=0, max_value=999, step=1, width=115)
        )
    bowls, told = [], []
    for name, problem in zip(("features as they are", "standardised"), made_problems(ratio, seed), strict=True):
        rate = percent / 100 * problem.largest_rate
        path = descend(problem, rate, problem.best + START, STEPS)
        bowls.append((f"<b>{name}</b>: κ = {problem.condition:.3g}, η = {rate:.3g}", problem, path))
        left = float(problem.loss(path[-1]) - problem.loss(problem.best))
        gone = left / float(problem.loss(path[0]) - problem.loss(problem.best))
        told.append(
            f"{name}: condition number **{problem.condition:.3g}**, largest stable rate 2/λmax = "
            f"{problem.largest_rate:.3g}, after {STEPS} steps **{gone:.2g}** of the excess loss is left"
        )
    plot(bowls_figure(bowls), "Gradient descent with features as they are and standardised", "scaling_bowls", "scaling")
    st.write(
        f"{'; '.join(told)}. **Notice** that an elongated bowl has one rate for two curvatures: near the limit of the "
        "steep direction the path zigzags across while it hardly moves along, and beyond 100 % it leaves. "
        "Standardised features make the bowl round, and one rate fits both directions."
    )
    with st.expander("Formula and source"):
        st.latex(
            r"L(w)=\frac1{2n}\|Xw-y\|^2,\quad H=\frac1nX^\top X,\quad w\leftarrow w-\eta H(w-w^*),\quad "
            r"\eta<\frac2{\lambda_{\max}},\quad\kappa=\frac{\lambda_{\max}}{\lambda_{\min}}"
        )
        st.write(
            "Linear regression with two features of 100 made points, drawn at random by the seed; curvatures and "
            "minimum are computed exactly. Along an eigenvector with eigenvalue λ the error is multiplied by 1 − ηλ a "
            "step. Source: LeCun, Bottou, Orr, Müller, *Efficient BackProp*, 1998, sections 4.3 and 5."
        )
