"""The view of families: tables and diagrams of networks and units that papers compare, a topic at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.pickers import controls
from app.views.families import classics, comparison, inception, residual

TOPICS: dict[str, Callable[[Any], None]] = {
    "LeNet-5: C3": classics.lenet_c3,
    "AlexNet: two towers": classics.towers,
    "VGG: A to E": classics.vgg,
    "ZFNet against AlexNet": classics.zfnet,
    "Network in Network": classics.mlpconv,
    "GoogLeNet: table": inception.googlenet,
    "Inception module": inception.modules,
    "Factorised convolutions": inception.factorised,
    "Residual unit: shortcuts": residual.shortcuts,
    "Residual unit: order": residual.orders,
    "Four families": residual.four,
    "Dense block": residual.dense,
    "CIFAR and SVHN": comparison.cifar,
}


def families(row: Any) -> None:
    """The topic's picture; what it needs to know is chosen in `row`."""
    with row:
        topic = controls.bind(st.selectbox, "Topic", "topic", "VGG: A to E", options=list(TOPICS), width=205)
    TOPICS[topic](row)
