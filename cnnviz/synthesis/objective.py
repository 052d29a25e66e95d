"""What is maximised: a unit, the mean or the maximum of a channel's map, a mixture of channels, or a whole layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.synthesis.result import Mixture
from cnnviz.wording import plural


def check_mixtures(mixtures: Sequence[Mixture], channels: int, layer: str | None) -> None:
    """Raise BadInput for a channel that a layer of so many `channels` has not, and for a mixture of nothing."""
    what = "The network" if layer is None else f"Layer {layer!r}"
    kind = "output" if layer is None else "channel"
    for mixture in mixtures:
        wrong = [number for number, _weight in mixture if not 0 <= number < channels]
        if wrong:
            raise BadInput(f"{what} has {plural(channels, kind)}, 0..{channels - 1}, got {wrong[0]}.")
        if mixture and not any(weight for _number, weight in mixture):
            raise BadInput(f"A mixture of channels needs a weight other than 0, got {dict(mixture)}.")


def weight_matrix(mixtures: Sequence[Mixture], channels: int, device: torch.device) -> Tensor | None:
    """(N, C) weights of each image's channels; None where each is for the whole layer.

    Raises BadInput where a whole layer stands beside channels."""
    if not any(mixtures):
        return None
    if not all(mixtures):
        raise BadInput("Images for the whole layer cannot be made beside those for channels: ask for them one by one.")
    weights = torch.zeros(len(mixtures), channels)
    for row, mixture in enumerate(mixtures):
        for number, weight in mixture:
            weights[row, number] = weight
    return weights.to(device)


def score(maps: Tensor, weights: Tensor | None, objective: str, unit: tuple[int, int] | None) -> Tensor:
    """(N,) what is maximised, of maps (N, C, H, W): the weighted sum of channels (N, C), of the whole layer the mean of
    the squares; at the `unit`, or of "channel" the mean and of "max" the largest value of the map."""
    if weights is None:
        field = maps.float().square().mean(1)
    else:
        field = torch.einsum("nchw,nc->nhw", maps.float(), weights)
    if unit is not None:
        return field[:, unit[0], unit[1]]
    return field.amax((1, 2)) if objective == "max" else field.mean((1, 2))


def likeness(maps: Tensor, copies: int) -> Tensor:
    """(N,) 0..1: how like the images of one channel are to each other, N a multiple of `copies`, each channel's beside
    each other: the mean cosine between the Gram matrices of their maps (N, C, H, W).

    Source: Olah, Mordvintsev, Schubert, Distill 2017, "Diversity"."""
    features = maps.float().flatten(2)
    grams = torch.einsum("ncp,ndp->ncd", features, features).flatten(1)
    grams = torch.nn.functional.normalize(grams, dim=1).unflatten(0, (-1, copies))
    cosines = torch.einsum("gak,gbk->gab", grams, grams)
    return (cosines.sum(2) - 1).flatten() / max(copies - 1, 1)
