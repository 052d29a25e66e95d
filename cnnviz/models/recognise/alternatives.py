"""How well a chain answers a labelled set with each activation and kind of pooling: what no tensor says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.chains.chain import Chain
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.recognise.answers import LabelledImages, answer
from cnnviz.models.recognise.variants import count_work, list_alternatives, make_variant, thin

_WORK = 30e9  # multiply-adds of a comparison, about two seconds
_LEAST = 20  # images


@dataclass(frozen=True, slots=True)
class ChainTrial:
    """One reading of a file on a labelled set. `activation`, `pooling`: words of a chain, "" where it has none.
    `norm`: name of the normalisation. `accuracy`: 0..1 on `images` images. `loss`: cross-entropy, nats."""

    chain: Chain
    activation: str
    pooling: str
    norm: str
    accuracy: float
    loss: float
    images: int


def compare_alternatives(
    path: str | Path, chain: Chain, norms: Mapping[str, Preprocessing], labelled: LabelledImages
) -> list[ChainTrial]:
    """The chain itself, then with ReLU, tanh or sigmoid and maximum or average pooling everywhere, under each of the
    normalisations, in that order; what cannot run is left out. `path`: the weights file.

    As many images as about two seconds allow, at least 20. Raises BadCheckpoint if the file can't be read."""
    tensors = read_weights(Path(path)).tensors
    variants = [(found, make_variant(found, tensors)) for found in list_alternatives(chain)]
    made = [variant for _, variant in variants if variant is not None]
    if not made or not norms:
        return []
    most = int(_WORK / (count_work(made[0]) * len(made) * len(norms)))
    shown = thin(labelled, most, _LEAST)
    trials = []
    for found, variant in variants:
        for name, norm in norms.items():
            got = None if variant is None else answer(variant.module, shown, norm)
            if variant is not None and got is not None:
                activation, pooling, count = variant.activation, variant.pooling, len(shown.labels)
                trials.append(ChainTrial(found, activation, pooling, name, got.accuracy, got.loss, count))
    return trials
