"""Statistics that batch normalisation kept from training, against those of photographs that run through the network.

The network that a file was trained as, under the normalisation that it was trained with, gives about the variances
that the file kept: its logarithms differ by 0.2 to 0.5 on average. Another with the same tensors, without its shortcuts
say, differs by 2 and more. No label is needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.data.samples import digits, samples
from cnnviz.display import Summarised

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_LEAST = 1e-4  # variance kept for channels that died: nothing is said by them
_CROPPED = 0.13  # part of a 32×32 image that is black after the usual crop from 4 pixels of padding
_MEAN_SPREAD, _SCALE_SPREAD = 0.03, 0.15  # by which right normalisations miss: of means, of logarithms of variances
_SMOOTHER = -0.27  # logarithm of the variance that the sample photographs have at 32×32 beside CIFAR-10's, behind
# trained first convolutions: photographs that are made small hold less of the finest detail


@dataclass(frozen=True, slots=True, repr=False)
class KeptStatistics(Summarised):
    """Of one batch norm. `measured`, `kept`: variances of its input (C,). `mean`: the kept mean (C,)."""

    measured: np.ndarray
    kept: np.ndarray
    mean: np.ndarray

    @property
    def logs(self) -> np.ndarray:
        """log(measured / kept) of the channels that live."""
        alive = (self.kept > _LEAST) & np.isfinite(self.measured) & np.isfinite(self.kept)
        return np.log(np.maximum(self.measured[alive], 1e-12) / self.kept[alive])


def measure(module: nn.Module, images: Tensor, first: bool = False) -> list[KeptStatistics]:
    """The batch norms that a pass of `images` (N, C, H, W), normalised, goes through, in that order; `first`: the first
    alone. [] where the network cannot run on them. `module` is in eval mode and is left as it was."""
    import torch

    norms: list[KeptStatistics] = []
    own = _swap(module, norms, first)
    try:
        with torch.inference_mode():
            module(images)
    except _EnoughMeasuredError:
        pass
    except RuntimeError:  # such an input is none of this network's
        norms = []
    finally:
        for parent, name, child in own:
            setattr(parent, name, child)
    return norms


def find_distance(found: list[KeptStatistics]) -> float:
    """Mean over batch norms and channels of |log(measured variance / kept variance)|; NaN if there is none."""
    logs = [np.abs(norm.logs).mean() for norm in found if norm.logs.size]
    return float(np.mean(logs)) if logs else math.nan


def has_statistics(module: nn.Module) -> bool:
    """True if a training has changed the statistics of the network's batch norms."""
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [child for child in module.modules() if isinstance(child, _BatchNorm)]
    means = [norm.running_mean for norm in norms if norm.running_mean is not None]
    return any(bool(mean.abs().max() > 0) for mean in means if mean.numel())


@lru_cache(8)
def load_images(channels: int, size: tuple[int, int], count: int) -> torch.Tensor:
    """(count, H, W, channels) uint8: sample photographs, for one channel drawn digits, as a network receives them."""
    import torch

    corpus = digits() if channels == 1 else samples()
    receiver = Preprocessing(size, mean=(0.5,) * channels, std=(0.5,) * channels)
    received = [receiver.receive(corpus.image(i)) for i in islice(range(len(corpus)), count)]
    return torch.from_numpy(np.stack(received))


def estimate_mean(module: nn.Module, first: KeptStatistics) -> np.ndarray | None:
    """The mean of the normalised input of a training (3,), from the first batch norm, whose kept mean is that of a
    convolution: sum of the kernel × mean of the input. None where it is not explained so."""
    from torch import nn

    conv = next((child for child in module.modules() if isinstance(child, nn.Conv2d)), None)
    if conv is None or conv.groups != 1 or conv.out_channels != len(first.mean) or conv.in_channels != 3:
        return None
    sums = conv.weight.detach().double().sum((2, 3)).numpy()
    bias = 0.0 if conv.bias is None else conv.bias.detach().double().numpy()
    wanted = first.mean.astype(np.float64) - bias
    solution = np.linalg.lstsq(sums, wanted, rcond=None)[0]
    missed = np.linalg.norm(sums @ solution - wanted) / max(1e-9, float(np.linalg.norm(wanted)))
    return solution if missed < 0.4 else None


def miss_mean(mean: np.ndarray, data: tuple[float, ...], norm: Preprocessing) -> float:
    """By how many spreads the estimated mean of a training misses that of images of mean `data` (0..1) under `norm`,
    with or without black borders from cropping, whichever is nearer."""
    offset, scale = np.array(norm.mean), np.array(norm.std)
    missed = [
        np.sqrt(np.mean((mean - ((1 - black) * np.array(data) - offset) / scale) ** 2)) for black in (0.0, _CROPPED)
    ]
    return float(min(missed)) / _MEAN_SPREAD


def miss_scale(first: KeptStatistics) -> float:
    """By how many spreads the variances behind the first convolution miss those kept, for CIFAR's images."""
    return abs(float(np.median(first.logs)) - _SMOOTHER) / _SCALE_SPREAD if first.logs.size else math.inf


class _EnoughMeasuredError(Exception):
    """Ends a pass behind the first batch norm."""


def _swap(module: nn.Module, found: list[KeptStatistics], first: bool) -> list[tuple[nn.Module, str, nn.Module]]:
    """Put a measuring layer around every batch norm; (parent, name, the norm itself) of each, to undo it."""
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm

    class Measuring(nn.Module):
        def __init__(self, norm: _BatchNorm) -> None:
            super().__init__()
            self.norm = norm

        def forward(self, x: Tensor) -> Tensor:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            kept, mean = self.norm.running_var, self.norm.running_mean
            assert kept is not None and mean is not None
            found.append(KeptStatistics(*(v.double().numpy() for v in (x.var(axes), kept, mean))))
            if first:
                raise _EnoughMeasuredError
            return self.norm(x)

    own: list[tuple[nn.Module, str, nn.Module]] = []
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and child.running_var is not None:
                own.append((parent, name, child))
                setattr(parent, name, Measuring(child).eval())
    return own
