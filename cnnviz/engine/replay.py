"""Replaying the operations of one pass, recorded once, without the network's own code.

Beside small feature maps, PyTorch's modules, autocast and the promises of `fuse_relu` take as long as some
convolutions, and oneDNN lays the weights of each anew for every part of the images. A recorded pass is
one function that calls the same operations on the same tensors, and lays weights out once a point."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.fx import Graph

from cnnviz.device import out_of_memory
from cnnviz.engine.recorder import Packing, RecordedCall, Recorder

Pass = Callable[[Tensor, Tensor], Tensor]


class RecordedPass:
    """A recorded pass for images and labels of one shape. The tensors of the network are read where they are: set in
    place, they count from the next call on, those of convolutions after `pack`."""

    def __init__(self, graph: Graph, constants: list[Tensor], packings: list[Packing]) -> None:
        self.graph, self.packings, self._constants = graph, packings, constants
        self._given = [node for node in graph.nodes if node.op == "placeholder"]
        self._steps = [RecordedCall(node) for node in graph.nodes if node.op == "call_function"]
        (self._answer,) = graph.output_node().args
        self.pack()

    def pack(self) -> None:
        """Lay the weights of convolutions out anew."""
        self._packed = []  # let go before the new ones are made
        self._packed = [packing() for packing in self.packings]

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """What the recorded pass gives for them, of the recorded shapes."""
        with torch.autocast(images.device.type, enabled=False):  # what it does to operands has been recorded
            values = dict(zip(self._given, (images, labels, *self._constants, *self._packed), strict=True))
            for step in self._steps:
                values[step.node] = step(values)
                for read in step.last:
                    del values[read]
            return values[self._answer]


def record_pass(run: Pass, images: Tensor, labels: Tensor) -> RecordedPass | None:
    """`run`, which gives one tensor, recorded on these images and checked on others. In inference mode.

    None where the operations depend on values, or the recorded ones give anything else, to the bit. What code of the
    network's own reads out of its weights unseen (through DLPack, or remembered from pass to pass) shows only at other
    weights: compare once more there, the record first."""
    wanted = [(some, run(some.clone(), labels)) for some in (images, images.flip(0))]
    for pack in (True, False):
        try:
            flat = _record(run, images, labels, pack)
            if all(is_same(flat(some.clone(), labels), want) for some, want in wanted):
                return flat
        except Exception as error:  # a stranger's network may mind being looked at in any way
            if out_of_memory(error):
                raise
    return None


def is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two results are equal to the bit, NaN included."""
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _record(run: Pass, images: Tensor, labels: Tensor, pack: bool) -> RecordedPass:
    recorder = Recorder(images, labels, pack=pack)
    with recorder:
        output = run(*recorder.inputs)
    return RecordedPass(*recorder.finish(output))
