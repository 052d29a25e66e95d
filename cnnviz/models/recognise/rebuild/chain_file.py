"""What a weights file holds for a builder: the chains that fit, what its layers are, and the skeleton of a plugin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.recognise.rebuild.chains import RebuiltChain, describe_layers, find_chains
from cnnviz.models.recognise.rebuild.layers import CONV
from cnnviz.models.recognise.rebuild.plugin_skeleton import write_skeleton


@dataclass(frozen=True, slots=True)
class ChainFile:
    """`solutions`: the chains with the file's tensors, the natural one first; () if it is none. `features`: inputs of
    its linear layers. `sentence`: its layers in words, and why they are no chain if they are none. `skeleton`: Python
    source of a plugin with its layers, "" for a file without convolutions."""

    solutions: tuple[RebuiltChain, ...]
    features: tuple[int, ...]
    sentence: str
    skeleton: str


def read_chain_file(path: str | Path) -> ChainFile:
    """Examine a weights file; nothing in it is run. Raises BadCheckpoint if it can't be read."""
    checkpoint = read_weights(Path(path))
    found = describe_layers(checkpoint.tensors)
    weighted = [layer for layer in found.layers if layer.is_weighted]
    return ChainFile(
        solutions=tuple(find_chains(checkpoint.tensors, checkpoint.modules)),
        features=tuple(layer.shape[1] for layer in weighted if layer.kind != CONV),
        sentence=found.sentence,
        skeleton=write_skeleton(checkpoint.tensors) if found.convolutions else "",
    )
