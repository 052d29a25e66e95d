"""Layers over the time of a run: gradients, updates, weights and dead channels as heat maps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app.components.motion.follow import follow
from app.components.plots import plot
from app.markdown import escape_markdown
from app.url import address
from app.url.address import bind_choice
from app.views.training import runs
from cnnviz.errors import CnnvizError
from cnnviz.figures.training.layers import MEASURES, layers_figure
from cnnviz.training.record.curves import count_epochs
from cnnviz.training.record.result import RecordedRun
from cnnviz.wording import plural

HEIGHT = 560
_WORDS = {"Gradients": "gradient", "Updates": "update", "Weights": "weight", "Dead": "dead"}


def view(row: Any) -> None:
    """Controls, the heat map that follows the run, and what to look for."""
    names = runs.list_names("run", looked_into=True)
    if not names:
        st.info("There is no run with a look into its layers: cnnviz was installed without its bundled files.")
        return
    with row:
        name = address.bind(
            st.selectbox, "Run", "run", _default(names), options=names, format_func=runs.label, width=220
        )
        measure = _WORDS[bind_choice("Of each layer", "measure", list(_WORDS))]
        axis = bind_choice("Axis", "axis", ["Epochs", "Steps"])
    follow(partial(_draw, name, measure, axis), "follow_layers")
    st.write(
        f"A row a layer, the one that sees the image at the top; a column a step that was looked into. **Notice** "
        f"{MEASURES[measure].notice}."
    )
    with st.expander("Formula and source"):
        st.write(
            "Norms are L2 norms over a layer's trainable parameters; an update is the change of one step. A channel "
            "is dead where its rectifier gives 0 for every image of the batch and every place. Vanishing and exploding "
            "gradients: Glorot and Bengio 2010."
        )


def _default(names: list[str]) -> str:
    """The newest of the runs chosen beside the curves."""
    chosen = address.read("runs").split(",")
    return next((name for name in names if name in chosen), names[0])


def _draw(name: str, measure: str, axis: str) -> float | None:
    try:
        run = runs.read(name)
    except CnnvizError as error:
        st.info(escape_markdown(str(error)), icon=":material/search_off:")
        return None
    table, rows = run.looks[measure], run.rectifiers if measure == "dead" else run.layers
    if not table.size or not np.isfinite(table).any():
        st.info(_tell_nothing(run, measure))
        return runs.next_look([run])
    x, title = run.looks["step"].astype(float), "step"
    if axis == "Epochs" and np.isfinite(epochs := count_epochs(run, x)).all():
        x, title = epochs, "epoch"
    figure = layers_figure(x, rows, table, measure, title, HEIGHT)
    plot(figure, f"{MEASURES[measure].title} of each layer of {run.name}", "training_layers", "training-layers")
    if title == "step" and axis == "Epochs":
        st.caption("No epoch has ended yet: the axis counts steps.")
    return runs.next_look([run])


def _tell_nothing(run: RecordedRun, measure: str) -> str:
    if measure == "dead":
        return "No rectifier was watched in this run: its network has none, or it was compiled."
    if not run.layers:
        return "This run has no layers with trainable parameters."
    every = plural(run.about.get("every", 50), "step")
    return f"No look into the layers is written yet; the run takes one every {every}."
