"""The gradient on its way back through one layer: convolution, ReLU, max-pooling, by hand and against autograd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.attribution.backward_pass import run_backward
from cnnviz.device import doubled
from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.forward import count_calls
from cnnviz.probes.layer_io import capture_io
from cnnviz.probes.predictions import prepare_image

CONV, RELU, POOL = "convolution", "relu", "max-pooling"
_TYPES = {CONV: nn.Conv2d, RELU: nn.ReLU, POOL: nn.MaxPool2d}


@dataclass(frozen=True, slots=True, repr=False)
class LayerBackward(Summarised):
    """A layer of `kind` CONV, RELU or POOL for one image. `entering` x (C, H, W), `leaving` y (F, h, w), `arriving`
    ∂L/∂y of y's shape, `passed` ∂L/∂x of x's shape, by the rule of the layer. `error`: ‖passed − autograd's‖ over the
    norm of autograd's. `kernel` (F, C / groups, kh, kw) and `turned` (C, F / groups, kh, kw) of a convolution, else
    empty. `chosen` (C, H, W), of a max-pooling: how many windows take their maximum at this place, else empty."""

    kind: str
    entering: np.ndarray
    leaving: np.ndarray
    arriving: np.ndarray
    passed: np.ndarray
    error: float
    kernel: np.ndarray
    turned: np.ndarray
    chosen: np.ndarray


def regroup_kernel(kernel: Tensor, groups: int = 1) -> Tensor:
    """(F, C / groups, kh, kw) → (C, F / groups, kh, kw), every slice turned by 180°: with it the backward pass of the
    convolution is a convolution. 20 filters of 3 channels are 60 slices: 3 sets of depth 20."""
    filters, depth, high, wide = kernel.shape
    sets = kernel.reshape(groups, filters // groups, depth, high, wide).transpose(1, 2)
    return sets.reshape(groups * depth, filters // groups, high, wide).flip(2, 3)


def conv_backward(
    arriving: Tensor,
    kernel: Tensor,
    shape: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """∂L/∂x (N, C, H, W), `shape` = (H, W), of y = conv2d(x, kernel) with ∂L/∂y = `arriving` (N, F, h, w): zeros
    between its values where the stride is above 1, zeros around it, and `regroup_kernel` laid over it.

    `padding`: zeros before the first row and column. Source: Dumoulin and Visin, arXiv:1603.07285, section 4."""
    spread = arriving
    for axis, step in ((2, stride[0]), (3, stride[1])):
        size = list(spread.shape)
        size[axis] = (size[axis] - 1) * step + 1
        wider = spread.new_zeros(size)
        wider.index_copy_(axis, torch.arange(0, size[axis], step, device=spread.device), spread)
        spread = wider
    around: list[int] = []
    for axis in (1, 0):  # F.pad begins with the last axis
        reach = dilation[axis] * (kernel.shape[2 + axis] - 1)
        before = reach - padding[axis]
        around += [before, shape[axis] + reach - before - spread.shape[2 + axis]]
    return F.conv2d(F.pad(spread, around), regroup_kernel(kernel, groups), None, 1, 0, dilation, groups)


def relu_backward(arriving: Tensor, entering: Tensor) -> Tensor:
    """∂L/∂x of y = max(x, 0): `arriving` where x > 0, else 0, also at x = 0, as PyTorch takes it."""
    return arriving * (entering > 0)


def pool_backward(
    arriving: Tensor,
    entering: Tensor,
    size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil: bool = False,
) -> tuple[Tensor, Tensor]:
    """(∂L/∂x, how many windows take their maximum at each place), both (N, C, H, W), of a max-pooling of
    x = `entering`: the gradient of a window goes to its maximum alone, of equal ones to the first, row by row; where
    windows overlap, sums."""
    _, places = F.max_pool2d(entering, size, stride, padding, dilation, ceil, return_indices=True)
    flat = torch.zeros_like(entering).flatten(2)
    routed = flat.scatter_add(2, places.flatten(2), arriving.flatten(2))
    counts = flat.scatter_add(2, places.flatten(2), torch.ones_like(arriving).flatten(2))
    return routed.view_as(entering), counts.view_as(entering)


def list_layers_back(model: LoadedModel) -> dict[str, str]:
    """{layer: CONV, RELU or POOL} of the modules that run on maps and whose rule is told here, in order. A convolution
    that pads with anything but zeros is left out."""
    found = {}
    for name, child in model.module.named_modules():
        kind = next((kind for kind, one in _TYPES.items() if type(child) is one), "")
        if name and kind and (not isinstance(child, nn.Conv2d) or child.padding_mode == "zeros"):
            found[name] = kind
    image = torch.zeros(1, *model.input_size, device=model.device)
    with model.lock:
        with torch.inference_mode():
            calls = count_calls(model.module, image)
        ends = capture_io(model.module, image, [name for name in found if calls.get(name)])
    return {name: kind for name, kind in found.items() if name in ends and ends[name][0].ndim == 4}


def layer_backward(model: LoadedModel, image: Any, layer: str) -> LayerBackward:
    """What one layer makes of the gradient of the cross-entropy, whose label is assumed: the most probable class.

    `image`: as for `cnnviz.capture`. Raises UnknownName, BadInput for a layer of another kind or a gradient that does
    not reach it."""
    batch = prepare_image(model, image)
    label = torch.from_numpy(model.logits(batch).argmax(1))
    if model.logits(batch).shape[1] == 1:
        label = torch.from_numpy((model.logits(batch)[:, 0] > 0).astype(np.int64))
    kind = list_layers_back(model).get(layer, "")
    with run_backward(model, batch, label, [layer]) as found:
        if not kind or layer not in found.inputs or layer not in found.outputs:
            raise BadInput(
                f"{layer!r} of {model.name} is no convolution with zero padding, ReLU or max-pooling that is a module "
                "of its own."
            )
        x, y = found.inputs[layer], found.outputs[layer]
        arriving, true = found.gradients([y, x])
    child, x, y = model.module.get_submodule(layer), x.detach(), y.detach()
    kernel = turned = chosen = x.new_zeros(0)
    with torch.no_grad():
        if isinstance(child, nn.Conv2d):
            kernel, turned = child.weight.detach(), regroup_kernel(child.weight.detach(), child.groups)
            back = conv_backward(
                arriving,
                kernel,
                _pair(x.shape[2:]),
                _pair(child.stride),
                _first_pads(child),
                _pair(child.dilation),
                child.groups,
            )
        elif isinstance(child, nn.MaxPool2d):
            back, chosen = pool_backward(
                arriving, x, child.kernel_size, child.stride, child.padding, child.dilation, child.ceil_mode
            )
            chosen = chosen[0]
        else:
            back = relu_backward(arriving, x)
    size = float(doubled(true).norm())
    error = float(doubled(back - true).norm()) / size if size else 0.0
    maps = (x[0], y[0], arriving[0], back[0], kernel, turned, chosen)
    entered, left, came, passed, *rest = [t.float().cpu().numpy() for t in maps]
    return LayerBackward(kind, entered, left, came, passed, error, *rest)


def compare_with_autograd(
    kind: str, entering: np.ndarray, arriving: np.ndarray, kernel: np.ndarray | None, window: int, stride: int
) -> tuple[np.ndarray, float]:
    """(∂L/∂x (H, W), the largest difference from autograd's) on small tables, in float64: `entering` (H, W), `arriving`
    of the output's shape, `kernel` (kh, kw) of a convolution, `window` of a max-pooling; `stride` of both."""
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.tensor(entering, dtype=torch.float64)[None, None].requires_grad_()
        weight = None if kernel is None else torch.tensor(kernel, dtype=torch.float64)[None, None]
        if kind == CONV and weight is not None:
            y = F.conv2d(x, weight, stride=stride)
        else:
            y = F.relu(x) if kind == RELU else F.max_pool2d(x, window, stride)
        signal = torch.tensor(arriving, dtype=torch.float64)[None, None]
        if signal.shape != y.shape:
            rows, cols = y.shape[2:]
            raise BadInput(
                f"The output has {rows}×{cols} values, the gradient ∂L/∂y {len(arriving)}×{len(arriving[0])}. Give "
                "one number for each output."
            )
        (true,) = torch.autograd.grad(y, x, signal)
    x = x.detach()
    if kind == CONV and weight is not None:
        back = conv_backward(signal, weight, _pair(x.shape[2:]), (stride, stride))
    else:
        back = relu_backward(signal, x) if kind == RELU else pool_backward(signal, x, window, stride)[0]
    return back[0, 0].numpy(), float((back - true).abs().max())


def _pair(values: Any) -> tuple[int, int]:
    return (int(values[0]), int(values[1]))


def _first_pads(conv: nn.Conv2d) -> tuple[int, int]:
    """Zeros before the first row and column."""
    left, _right, top, _bottom = conv._reversed_padding_repeated_twice
    return top, left
