"""Loss and accuracy of a network on a labelled set, as a training measures them after every epoch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cnnviz.data.labelled import LabelledSet
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.device import halving
from cnnviz.models.memory_format import lay_out
from cnnviz.models.output import to_logits
from cnnviz.training.loss import cross_entropy, main_logits

EVALUATED = 500  # images of one pass without gradients


def evaluate(
    module: nn.Module,
    data: LabelledSet,
    preprocessing: Preprocessing,
    batch: int = EVALUATED,
    memory_format: torch.memory_format = torch.channels_last,
    ending: str = "",
) -> tuple[float, float]:
    """Mean `loss.cross_entropy` in nats and accuracy in 0..1, in eval mode and float32, `batch` images at a time; with
    fewer where memory is short. `ending`: the function that the network ends in, see `models.output.find_ending`."""
    where, training = next(module.parameters()).device, module.training
    module.eval()
    try:
        return halving(
            lambda size: _evaluate_batches(module, data, preprocessing, where, memory_format, size, ending),
            batch,
            where,
        )
    finally:
        module.train(training)


@torch.inference_mode()
def _evaluate_batches(
    module: nn.Module,
    data: LabelledSet,
    preprocessing: Preprocessing,
    where: torch.device,
    memory_format: torch.memory_format,
    batch: int,
    ending: str,
) -> tuple[float, float]:
    loss, right = 0.0, 0
    for start in range(0, len(data), batch):
        rows = np.arange(start, min(start + batch, len(data)))
        images = preprocessing.normalise(torch.from_numpy(data.batch(rows)).to(where))
        labels = torch.from_numpy(data.labels[rows]).to(where)
        scores = to_logits(main_logits(module(lay_out(images, memory_format))).float(), ending)
        loss += cross_entropy(scores, labels, ending, reduction="sum").item()
        right += int((scores.argmax(1) == labels).sum())
    return loss / len(data), right / len(data)
