"""Training: recorded and running trainings, their curves, their layers over time, and the network at every moment."""

from app.pickers import bar, controls
from app.views.training import curves, evolution, filters, layers, live, transfer

PAGE = {
    "title": "Training",
    "address": "training",
    "icon": ":material/trending_up:",
    "place": 125,
    "group": "Learn",
}

VIEWS = {
    "Curves": curves.view,
    "Layers": layers.view,
    "Filters": filters.view,
    "Evolution": evolution.view,
    "Train": live.view,
    "Transfer": transfer.view,
}

controls.heading("Training")
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", list(VIEWS))
VIEWS[view](row)
