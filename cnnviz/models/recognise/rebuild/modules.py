"""The chain of a whole network that was saved as an `nn.Sequential`: exact, since its modules keep their settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnnviz.errors import BadInput
from cnnviz.models.chains.chain import Chain
from cnnviz.models.chains.steps import ACTIVATIONS, ChainStep
from cnnviz.models.checkpoint.saved_modules import SavedModule

Settings = Mapping[str, Any]
_ACTIVE = {name: kind for kind, name in ACTIVATIONS.items()}


def read_steps(modules: Sequence[SavedModule], keys: Collection[str]) -> tuple[ChainStep, ...] | None:
    """The steps of a saved network whose modules are `nn.Sequential` and known layers alone; None for any other: the
    tree of another class does not say what its forward pass does. Identities are left out. `keys`: names of the
    tensors, which tell whether a layer has a bias."""
    if not modules or not _is_sequence(modules[0]):
        return None
    layers = [module for module in modules if not _is_sequence(module) and _name(module) != "Identity"]
    try:
        steps = [_read(module, f"{module.path}.bias" in keys) for module in layers]
    except (KeyError, TypeError, ValueError, BadInput):  # of another version, or of nobody's
        return None
    return None if None in steps else tuple(step for step in steps if step is not None)


def fit_input(steps: tuple[ChainStep, ...], channels: int, features: int | None, sides: Sequence[int]) -> list[Chain]:
    """The chains of these steps for square inputs, of those `sides` that fit, in their order. `features`: inputs of the
    first linear layer; None: there is none."""
    found = []
    for side in sides:
        chain = Chain((channels, side, side), steps)
        inputs = [shape for step, shape in chain.with_inputs() if step.kind == "linear"]
        if not chain.find_problem() and (features is None or (inputs and inputs[0] == (features,))):
            found.append(chain)
    return found


def _is_sequence(module: SavedModule) -> bool:
    return module.kind == "torch.nn.modules.container.Sequential"


def _name(module: SavedModule) -> str:
    return module.kind.rpartition(".")[2] if module.kind.startswith("torch.nn.modules.") else ""


def _read(module: SavedModule, bias: bool) -> ChainStep | None:
    """The step of one layer; None where a chain has none like it."""
    name = _name(module)
    told: Settings = module.settings
    if name in _ACTIVE:
        value = {"LeakyReLU": "negative_slope", "ELU": "alpha"}.get(name)
        width = told["num_parameters"] if name == "PReLU" else 0
        return ChainStep(_ACTIVE[name], width, value=float(told[value]) if value else None)
    reader = _READERS.get(name)
    step = reader(told) if reader else None
    return replace(step, bias=bias) if step and step.is_weighted else step


def _read_conv(told: Settings) -> ChainStep | None:
    padding = told["padding"]
    kernel, dilation = _pair(told["kernel_size"]), _pair(told.get("dilation", 1))
    if padding == "valid":
        padding = 0
    elif padding == "same":
        spread = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(s % 2 for s in spread):
            return None
        padding = tuple(s // 2 for s in spread)
    if told.get("padding_mode", "zeros") != "zeros":
        return None
    stride = _pair(told["stride"])
    return ChainStep("conv", told["out_channels"], kernel, stride, _pair(padding), dilation, told["groups"])


def _read_pool(kind: str) -> Callable[[Settings], ChainStep | None]:
    def read(told: Settings) -> ChainStep | None:
        odd = told.get("dilation", 1) not in (1, (1, 1)) or told.get("count_include_pad", True) is not True
        if odd or told.get("divisor_override") is not None:
            return None
        kernel = _pair(told["kernel_size"])
        stride, ceil = _pair(told.get("stride", kernel)), bool(told.get("ceil_mode", False))
        return ChainStep(kind, kernel=kernel, stride=stride, padding=_pair(told.get("padding", 0)), ceil=ceil)

    return read


def _read_norm(told: Settings) -> ChainStep | None:
    if not told.get("track_running_stats", True):
        return None
    return ChainStep("bn", affine=bool(told.get("affine", True)), value=float(told.get("eps", 1e-5)))


def _read_group_norm(told: Settings) -> ChainStep:
    affine = bool(told.get("affine", True))
    return ChainStep("groupnorm", groups=told["num_groups"], affine=affine, value=float(told.get("eps", 1e-5)))


def _read_flatten(told: Settings) -> ChainStep | None:
    return ChainStep("flatten") if (told.get("start_dim", 1), told.get("end_dim", -1)) == (1, -1) else None


def _read_end(kind: str) -> Callable[[Settings], ChainStep | None]:
    return lambda told: ChainStep(kind) if told.get("dim", 1) in (1, -1) else None


def _pair(value: Any) -> tuple[int, int]:
    rows, columns = value if isinstance(value, tuple) else (value, value)
    return int(rows), int(columns)


_READERS: dict[str, Callable[[Settings], ChainStep | None]] = {
    "Conv2d": _read_conv,
    "Linear": lambda told: ChainStep("linear", told["out_features"]),
    "BatchNorm2d": _read_norm,
    "BatchNorm1d": _read_norm,
    "GroupNorm": _read_group_norm,
    "MaxPool2d": _read_pool("max"),
    "AvgPool2d": _read_pool("avg"),
    "AdaptiveAvgPool2d": lambda told: ChainStep("adaptiveavg", kernel=_pair(told["output_size"])),
    "AdaptiveMaxPool2d": lambda told: ChainStep("adaptivemax", kernel=_pair(told["output_size"])),
    "Flatten": _read_flatten,
    "Dropout": lambda told: ChainStep("dropout", value=float(told["p"])),
    "Dropout2d": lambda told: ChainStep("dropout", value=float(told["p"])),
    "Softmax": _read_end("softmax"),
    "LogSoftmax": _read_end("logsoftmax"),
}
