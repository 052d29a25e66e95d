"""Convolution playground: one window at a time, as a matrix, in numbers, on a photograph, pooled, in time."""

from app.pickers import bar, controls
from app.views.playground import borders, counts, photograph, pooling, signal, steps, wiring

PAGE = {
    "title": "Convolution playground",
    "address": "playground",
    "icon": ":material/calculate:",
    "place": 100,
    "group": "Understand",
}

VIEWS = {
    "Step by step": steps.steps,
    "Matrix": steps.matrix,
    "Wiring": wiring.view,
    "Commutativity": borders.commutativity,
    "Coverage": borders.coverage,
    "Counters": counts.counters,
    "Photograph": photograph.photograph,
    "Pooling": pooling.view,
    "Signal": signal.view,
}

controls.heading("Convolution playground")
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", list(VIEWS))
VIEWS[view](row)
