"""One video frame: feature maps and prediction from a single forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps, describe_absence
from cnnviz.probes.forward import visit_layers
from cnnviz.probes.predictions import Prediction, make_prediction, prepare_image


@dataclass(frozen=True, slots=True, repr=False)
class FrameResult(Summarised):
    """One pass over an image. `maps`: (C, H, W) float32, of the layer's last call; `answer`: its prediction."""

    maps: np.ndarray
    answer: Prediction


def analyse_frame(model: LoadedModel, image: Any, layer: str) -> FrameResult:
    """Feature maps of `layer` and the network's prediction for one image: RGB uint8 (H, W, 3) or PIL.

    The same as `capture` and `predict_image` one after the other, in a little more than half of the time. The model's
    lock is held during the pass alone. Raises UnknownName for a layer that the network has not, BadInput for one that
    does not run."""
    batch, kept = prepare_image(model, image), {}

    def keep(name: str, output: Tensor) -> None:
        kept[name] = output.clone()  # the next layer may work in place

    with model.lock, torch.inference_mode(), visit_layers(model.module, [layer], keep) as faults:
        scores = model.compute_logits(batch)
    if layer not in kept:
        raise BadInput(faults.get(layer) or describe_absence(layer))
    return FrameResult(
        as_maps(kept[layer])[0].float().cpu().numpy(), make_prediction(model, scores[0].float().cpu().numpy())
    )
