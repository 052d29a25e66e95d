"""An independent oracle for receptive fields: a positive copy of the network and its gradient.

Positive weights, no bias, averaging in place of maxima, identity in place of activations and norms: no
path can cancel, so a pixel has a gradient above zero exactly if the unit depends on it."""

from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

IDENTITIES = set("relu relu_ relu6 hardtanh hardtanh_ hardswish silu tanh batch_norm local_response_norm".split())
GATES = ("sigmoid", "hardsigmoid")


class PositiveMode(TorchFunctionMode):
    """Replaces activations and norms by the identity and max pooling by average pooling."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in IDENTITIES or name == "__rsub__":  # 1 - gate sees what the gate sees
            return args[0]
        if name in GATES:  # always 0.5, so that products of many gates stay finite, with a gradient above 0
            return 0.5 * args[0] / args[0].detach().clamp_min(1e-30)
        if name == "max_pool2d":
            return _average(*args, **kwargs)
        return func(*args, **kwargs)


def _average(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if dilation in (1, (1, 1)):
        return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode)
    kernel = torch.ones(x.shape[1], 1, kernel_size, kernel_size, dtype=x.dtype)
    return F.conv2d(x, kernel, None, stride or kernel_size, padding, dilation, groups=x.shape[1])


def positive_copy(module: nn.Module) -> nn.Module:
    """float64 copy whose weights average: 1 / fan-in everywhere, so that deep networks do not overflow."""
    copy = deepcopy(module).double().eval()
    for child in copy.modules():
        if isinstance(child, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            child.weight.data.fill_(1 / child.weight[0].numel())
            if child.bias is not None:
                child.bias.data.zero_()
    return copy


def layer_outputs(module: nn.Module, image: Tensor, layers: list[str]) -> dict[str, Tensor]:
    """Outputs of `layers` with their graph, of one pass of the positive copy."""
    found: dict[str, Tensor] = {}
    modules = dict(module.named_modules())
    hooks = [
        modules[name].register_forward_hook(lambda _m, _i, out, name=name: found.update({name: out})) for name in layers
    ]
    with PositiveMode():
        module(image)
    for hook in hooks:
        hook.remove()
    return found


def gradient_box(output: Tensor, image: Tensor, row: int, col: int) -> tuple[int, int, int, int] | None:
    """Bounding box, half open, of the pixels with gradient > 0 from all channels of one unit; None if the
    unit depends on no pixel."""
    unit = (output[0, :, row, col] if output.ndim == 4 else output[0]).sum()
    (gradient,) = torch.autograd.grad(unit, image, retain_graph=True)
    assert (gradient >= 0).all()
    rows, cols = torch.nonzero(gradient.sum(dim=(0, 1)) > 0, as_tuple=True)
    if not len(rows):
        return None
    return int(rows.min()), int(cols.min()), int(rows.max()) + 1, int(cols.max()) + 1
