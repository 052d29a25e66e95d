"""Reading and checking the images and labels of a landscape before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.wording import plural


def read_images(model: LoadedModel, images: Any) -> Tensor:
    """uint8 (N, H, W, C) as the network receives them, or float32 (N, C, H, W) already preprocessed.

    `images`: uint8 pixels (N, H, W, 3), (N, H, W, 1) or (N, H, W), resized if they are not of the network's
    size; float pixels (N, C, H, W), taken as preprocessed; or a list of single images. Raises BadInput for
    anything else, and for none at all."""
    if isinstance(images, Sequence) and len(images):
        return torch.from_numpy(np.stack([model.receive(image) for image in images]))
    found = torch.as_tensor(images).detach()
    channels, height, width = model.input_size
    if found.is_floating_point() and found.dim() == 4 and found.shape[1] == channels and len(found):
        return found.float()
    if found.dtype != torch.uint8 or found.dim() not in (3, 4) or not len(found):
        raise BadInput(
            f"Expected images as uint8 (N, H, W, 3 or 1), or preprocessed as float (N, {channels}, H, W), got "
            f"{found.dtype} {tuple(found.shape)}."
        )
    if tuple(found.shape[1:]) == (height, width, channels):
        return found
    return torch.from_numpy(np.stack([model.receive(image) for image in found.cpu().numpy()]))


def read_labels(labels: Any, count: int) -> Tensor:
    """(N,) int64 class numbers for `count` images. Raises BadInput if they are missing, not whole numbers,
    negative, or not one an image."""
    if labels is None:
        raise BadInput("A loss needs labels: give one class number an image, e.g. from `load_labelled`.")
    try:
        found = torch.as_tensor(labels).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput(f"Labels must be class numbers, one an image ({error}).") from error
    if found.dim() != 1 or len(found) != count:
        raise BadInput(f"Expected {plural(count, 'label')}, one an image, got shape {tuple(found.shape)}.")
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise BadInput(f"Labels must be whole numbers, got {found.dtype}.")
    if int(found.min()) < 0:
        raise BadInput(f"Labels must count from 0, got {int(found.min())}.")
    return found.long()


def refuse_labels_beyond(outputs: int, labels: Tensor, name: str) -> None:
    """Raise BadInput if a label has no output. Fewer classes than outputs are fine."""
    highest = int(labels.max())
    if highest >= outputs:
        raise BadInput(
            f"{name} has {plural(outputs, 'output')}, so labels go from 0 to {outputs - 1}, but the images have label "
            f"{highest}. Give the data that the network was trained on, in the same order of classes."
        )
