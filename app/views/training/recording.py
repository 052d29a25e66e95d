"""How a training of one's own comes onto this page: the lines to copy."""

from __future__ import annotations

import streamlit as st

from app import access
from app.session import run_weights
from cnnviz.models.runs.folder import runs_folder

LINES = """with cnnviz.record("runs/mine", model) as run:          # 1
    for images, labels in loader:
        ...                                             # forward, backward, optimiser.step()
        run.step(loss=loss, accuracy=accuracy, lr=lr)   # 2: before the gradients are set to zero
    run.epoch(test_loss=..., test_accuracy=...)         # 3: where there are epochs"""


def tell() -> None:
    """The three lines; at once where there is no run yet, else behind a click."""
    none = not run_weights.recorded_runs()
    with st.expander("Record a training of your own", icon=":material/add_chart:", expanded=none):
        st.write("Three lines in your own loop, and it is followed here while it runs:")
        st.code(LINES, language="python")
        where = f" (now `{runs_folder().absolute()}`)" if access.may_see_the_disk() else ""
        st.write(
            f"The page lists what lies in the folder that `CNNVIZ_RUNS` names{where}, else `runs` where the app was "
            "started. `cnnviz train` records its runs, too: `cnnviz train lenet5 --data mnist --out runs/lenet`."
        )
