"""What a loss landscape is measured against: the labels of images, or the network's own answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from app.session.networks import Network
    from cnnviz.data.corpus import Corpus

LABELS, ANSWERS = "Labels", "Network's answers"
OTHERWISE = f"Choose “{ANSWERS}” above: then the loss is measured against what the unmoved network answers."


def read(
    network: Network, images: Corpus, own_answers: bool, report: Callable[[int, int], bool]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Images and their classes, see `read_labelled`; None if `report(done, total)` says no. Raises BadInput, saying
    what to choose, where there are no labels or they are not the network's classes."""
    from cnnviz.landscape.evaluate.labelled import read_labelled

    return read_labelled(network.model, images, own_answers, report, OTHERWISE)
