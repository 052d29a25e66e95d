"""Batch normalisation that is there while a network is trained only: what is kept of it is the plain network.

In evaluation mode batch norm is an affine map of each channel, so a convolution before it takes it in: the weights are
multiplied by γ / √(σ² + ε), and the bias b becomes β + (b − μ) γ / √(σ² + ε). Source: Ioffe and Szegedy, ICML 2015,
section 3.1; Jacob et al., CVPR 2018, section 3.2."""

from __future__ import annotations

import copy
from collections.abc import Collection

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.models.memory_format import is_close, make_noise, run_trial

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


class NormedConvolution(nn.Conv2d):
    """A convolution of a network with batch norm behind it. (N, C, H, W) → (N, F, H', W')."""

    def __init__(self, plain: nn.Conv2d) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(plain.__dict__ | {"_modules": {}})  # all that it is, its parameters among it
        self.norm = nn.BatchNorm2d(plain.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))

    def fold(self) -> dict[str, Tensor]:
        """Weight (F, C, kh, kw) and bias (F,) of the convolution that does the same in evaluation mode."""
        norm = self.norm
        deviation = torch.sqrt(norm.get_buffer("running_var") + norm.eps)
        scale, shift = norm.weight / deviation, self.get_parameter("bias") - norm.get_buffer("running_mean")
        return {"weight": self.weight * scale[:, None, None, None], "bias": norm.bias + shift * scale}


def add_norms(
    module: nn.Module, input_size: tuple[int, int, int], head: Collection[str] = (), name: str = "The network"
) -> None:
    """Put batch norm behind every convolution of `module` but the one that gives the scores, in place.

    `input_size`: (C, H, W); `head`: names of the classifier's tensors. Raises BadInput where there is batch norm
    already, where a convolution has no bias to take it in, and where the plain network, tried on noise, does not answer
    alike: code may use weights in other ways than by calling their layer."""
    found = {path: part for path, part in module.named_modules() if path and type(part) is nn.Conv2d}
    plain = {path: part for path, part in found.items() if f"{path}.weight" not in head}
    if any(isinstance(part, _NORMS) for part in module.modules()):
        raise BadInput(f"{name} has layers that normalise already. Leave out --folded-norm.")
    if not plain or any(part.bias is None for part in plain.values()):
        raise BadInput(
            f"{name} has no convolutions with biases, which could take in batch norm. Leave out --folded-norm."
        )
    before = copy.deepcopy(module)
    for path, part in plain.items():
        above, _, last = path.rpartition(".")
        setattr(module.get_submodule(above), last, NormedConvolution(part))
    if not _is_foldable(copy.deepcopy(module), before, input_size):
        raise BadInput(
            f"{name} uses the weights of its convolutions in other ways than by calling them, so that they could not "
            "take in batch norm. Leave out --folded-norm."
        )


def _is_foldable(normed: nn.Module, plain: nn.Module, input_size: tuple[int, int, int]) -> bool:
    """Whether `plain` with the folded weights gives the scores of `normed`, whose batch norms are drawn at random."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for part in (one.norm for one in normed.modules() if isinstance(one, NormedConvolution)):
            for tensor in (part.weight, part.get_buffer("running_var")):
                tensor.uniform_(0.5, 2)
            for tensor in (part.bias, part.get_buffer("running_mean")):
                tensor.uniform_(-0.5, 0.5)
    plain.load_state_dict(read_plain_state(normed))
    images = make_noise(plain, input_size)
    wanted, found = (run_trial(one.eval(), images, torch.contiguous_format) for one in (normed, plain))
    return wanted is not None and is_close(found, wanted)


@torch.no_grad()
def read_plain_state(module: nn.Module) -> dict[str, Tensor]:
    """The state dict of a network, its batch norms of `add_norms` taken in by their convolutions: that of the plain
    network, which answers alike in evaluation mode."""
    state = module.state_dict()
    for path, part in module.named_modules():
        if isinstance(part, NormedConvolution):
            start = f"{path}." if path else ""
            state = {name: tensor for name, tensor in state.items() if not name.startswith(f"{start}norm.")}
            state |= {f"{start}{name}": tensor for name, tensor in part.fold().items()}
    return state
