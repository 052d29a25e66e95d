"""The ablation of components that Chatfield et al. published, beside the networks it was done with."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.views.families import results
from cnnviz.figures.families import rows
from cnnviz.figures.families.table import stack_scenes, table_scene


def components(_row: Any) -> None:
    """Single components of CNN-F, CNN-M and CNN-S."""
    from cnnviz.studies.families.ablations import SOURCE, ablated_networks, ablations

    networks, changes = results.remembered(("ablated",), ablated_networks), ablations()
    tables = rows.ablated_rows(networks), rows.ablation_rows(changes)
    scene = results.show(
        lambda width: stack_scenes(
            [table_scene(tables[0], width, 170.0, 19.0), table_scene(tables[1], width, 360.0, 19.0, left=2)]
        ),
        "Ablation of components",
        "ablations",
    )
    st.write(
        "Features of a network that was trained on ImageNet, with a linear classifier on VOC 2007: what one component "
        "is worth, everything else being equal. **Notice** that the length of the features and the crops count for "
        "more than the network, and that 128 numbers do nearly as well as 4,096. The differences cannot be added up."
    )
    results.offer("ablations", scene, tables[1])
    results.explain(
        "The differences are published ones, rounded as the lecture notes quote them, and are not computed here; "
        "parameters and multiply-adds are counted from the registered networks. “AlexNet 17 %” beside 16.7, 13.7 and "
        f"13.1 % in slides is the error on ILSVRC-2010; on 2012, as here, one AlexNet has 18.2 %. Source: {SOURCE}."
    )
