"""The view of families: tables and diagrams of networks and units that papers compare, a topic at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.pickers import controls
from app.session.networks import Network
from app.views.families import ablations, classics, comparison, construction, drawn, gates, inception, residual

TOPICS: dict[str, Callable[[Any], None]] = {
    "LeNet-5: C3": classics.lenet_c3,
    drawn.TOPIC: drawn.digit,
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
    "Identity construction": construction.identities,
    "Dense block": residual.dense,
    "CIFAR and SVHN": comparison.cifar,
    "Ablations": ablations.components,
}


def families(network: Network | None, row: Any) -> None:
    """The topic's picture; what it needs to know is chosen in `row`. `network`: of the bar, where gates are shown."""
    names = list(TOPICS)
    names.insert(names.index("Residual unit: order"), gates.TOPIC)
    with row:
        topic = controls.bind(st.selectbox, "Topic", "topic", "VGG: A to E", options=names, width=205)
    if topic != gates.TOPIC:
        TOPICS[topic](row)
    elif network is not None:
        gates.masks(network, controls.pick_image(network), row)
        controls.show_device(network)
