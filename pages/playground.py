"""Convolution playground: one window at a time, as a matrix, in numbers, on a photograph, pooled, on a time series."""

import streamlit as st

from app.pickers import controls
from app.views.playground import counts, photograph, pooling, signal, steps

PAGE = {"title": "Convolution playground", "address": "playground", "icon": ":material/calculate:", "place": 120}

VIEWS = {
    "Step by step": steps.steps,
    "Matrix": steps.matrix,
    "Coverage": steps.seen,
    "Counters": counts.counters,
    "Photograph": photograph.photograph,
    "Pooling": pooling.view,
    "Signal": signal.view,
}

controls.heading("Convolution playground")
row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
with row:
    view = controls.bind_choice("View", "view", list(VIEWS))
VIEWS[view](row)
