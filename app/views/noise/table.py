"""The table of what is random in training and averaged in evaluation."""

from __future__ import annotations

import streamlit as st

from app.shell.pages import list_pages
from app.url import address

ROWS = (  # method, in training, in evaluation, (page, view, words of the link)
    (
        "Dropout",
        "each unit is 0 with probability p, the others are divided by 1 − p",
        "all units, nothing is scaled (or: unscaled training, then multiplied by the probability to keep, 1 − p)",
        ("noise", "Dropout"),
    ),
    (
        "DropConnect",
        "each weight is 0 with probability p",
        "mean and variance of each output, then the mean of the activation over a normal distribution",
        ("noise", "DropConnect"),
    ),
    (
        "Stochastic depth",
        "the l-th residual branch is left out with probability 1 − p_l",
        "every branch, multiplied by p_l",
        ("noise", "Stochastic depth"),
    ),
    (
        "Augmentation",
        "a random crop, flip, change of colour for each image",
        "one crop in the middle, or the mean over ten crops or several scales",
        ("noise", "Augmentation"),
    ),
    (
        "Batch norm",
        "mean and variance of the batch, which is drawn at random",
        "running means of both from training: fixed numbers",
        ("normalisation", ""),
    ),
)


def view() -> None:
    """One row a method, with a link to its view."""
    files = {entry.address: entry.file for entry in list_pages()}
    for name, training, evaluation, (page, view_name) in ROWS:
        with st.container(border=True):
            first, second, third = st.columns([1, 2, 2], gap="medium", vertical_alignment="center")
            with first:
                if page in files:
                    query = address.link(("view",), **({"view": view_name} if view_name else {}))
                    st.page_link(f"../pages/{files[page]}", label=f"**{name}**", query_params=query)
                else:
                    st.markdown(f"**{name}**")
            second.markdown(f":grey[In training:] {training}")
            third.markdown(f":grey[In evaluation:] {evaluation}")
    st.write(
        "y = f(x, z): in training z is drawn at random; in evaluation it is averaged out, exactly or nearly. "
        "**Notice** that the average is of different things: of a factor (dropout, stochastic depth), of a "
        "distribution (DropConnect), of statistics (batch norm), or of the answers themselves (augmentation). A "
        "network left in training mode by mistake goes on with the noise."
    )
    with st.expander("Formula and source"):
        st.latex(
            r"y=f(x,z),\;z\sim p(z)\;\text{(training)}\qquad "
            r"y=\mathbb{E}_z[f(x,z)]\approx f(x,\bar z)\;\text{(evaluation)}"
        )
        st.write(
            "The last step is exact where f is linear in z. Sources: Srivastava et al., JMLR 15, 2014; Wan et al., "
            "ICML 2013; Huang et al., ECCV 2016, arXiv:1603.09382; Ioffe and Szegedy, ICML 2015, arXiv:1502.03167; "
            "Krizhevsky et al., NIPS 2012."
        )
