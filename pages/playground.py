"""Convolution playground: one window at a time, as a matrix, in numbers, on a photograph, pooled, on a time series."""

import streamlit as st

from app import controls, playground_counts, playground_signal, playground_steps, playground_views, pooling_hand

VIEWS = {
    "Step by step": playground_steps.steps,
    "Matrix": playground_steps.matrix,
    "Seen how often": playground_steps.seen,
    "Counters": playground_counts.counters,
    "Photograph": playground_views.photograph,
    "Pooling": pooling_hand.view,
    "Signal": playground_signal.view,
}

controls.heading("Convolution playground")
row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
with row:
    view = controls.bound_choice("View", "view", list(VIEWS))
VIEWS[view](row)
