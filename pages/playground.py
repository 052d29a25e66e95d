"""Convolution playground: one window at a time, as a matrix, in numbers, on a photograph, pooled, on a time series."""

import streamlit as st

from app.pickers import controls
from app.views.playground import counts as playground_counts
from app.views.playground import signal as playground_signal
from app.views.playground import steps as playground_steps
from app.views.playground import views as playground_views
from app.views.pooling import hand as pooling_hand

PAGE = {"title": "Convolution playground", "address": "playground", "icon": ":material/calculate:", "place": 120}

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
    view = controls.bind_choice("View", "view", list(VIEWS))
VIEWS[view](row)
