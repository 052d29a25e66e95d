"""The DenseNet paper's comparison on CIFAR and SVHN, sorted by a column of one's choice."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.pickers import controls
from app.views.families import results
from cnnviz.figures.families import rows
from cnnviz.figures.families.table import table_scene


def cifar(row: Any) -> None:
    """21 networks with printed and built parameters."""
    from cnnviz.studies.families.cifar_errors import MEASURES, cifar_results

    orders = {"as printed": "", "parameters": "parameters", "depth": "depth", **{name: name for name in MEASURES}}
    with row:
        order = controls.bind(st.selectbox, "Sort by", "sort", "as printed", options=list(orders), width=160)
        shown = controls.bind_choice("Errors", "errors", ["All", "Augmented"])
    found = results.remembered(("cifar", order), lambda: cifar_results(orders[order]))
    measures = [name for name in MEASURES if shown == "All" or name.endswith("+")]
    table = rows.cifar_rows(found, measures)

    def draw(width: float) -> Any:
        wide = width > results.NARROW
        return table_scene(table if wide else rows.cifar_rows(found, measures, narrow=True), width, 600.0, 17.0)

    scene = results.show(draw, "Errors on CIFAR and SVHN", "cifar_table")
    st.write(
        "Test errors in per cent, smallest in bold; “+”: with shifts and flips. **Notice** the marked counts: 1,202 "
        "layers cannot have 10.2 M parameters, they have 19.4 M; and FractalNet's published generator gives 33.7 M, "
        "not 38.6 M."
    )
    results.offer("cifar-svhn", scene, table)
    results.explain(
        "“Parameters” is as printed, “built” counted from the registered network with 10 classes; marked is what "
        "differs by more than 5 %. FractalNet's 38.6 M are as published and cannot be reproduced. Errors are not "
        "counted here but quoted, from papers with unlike training. Source: Huang, Liu, van der Maaten, Weinberger, "
        "CVPR 2017 (arXiv:1608.06993), table 2."
    )
