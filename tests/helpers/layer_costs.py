"""What each module of a network puts out and costs, counted from one forward pass of one image."""

import math

import torch
from torch import Tensor, nn

import cnnviz


def on_meta(name: str, **options) -> nn.Module:
    """The catalogue's network without values, in evaluation mode."""
    with torch.device("meta"):
        return cnnviz.build(name, **options).eval()


def map_sides(module: nn.Module, size: tuple[int, int, int]) -> dict[str, int]:
    """{module: height of its output map}, of the modules that put out maps."""
    sides: dict[str, int] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            sides[name] = output.shape[2]

    run(module, size, note)
    return sides


def multiply_adds(module: nn.Module, size: tuple[int, int, int]) -> dict[str, int]:
    """{convolution or linear layer: multiplications of weights with inputs}."""
    counts: dict[str, int] = {}
    layers = dict(module.named_modules())

    def note(name: str, output: object) -> None:
        layer = layers[name]
        if isinstance(layer, nn.Conv2d):
            counts[name] = math.prod(output.shape[1:]) * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            counts[name] = layer.weight.numel()

    run(module, size, note)
    return counts


def run(module: nn.Module, size: tuple[int, int, int], note) -> None:
    hooks = [
        child.register_forward_hook(lambda _m, _i, output, name=name: note(name, output))
        for name, child in module.named_modules()
    ]
    module(torch.zeros(1, *size, device=next(module.parameters()).device))
    for hook in hooks:
        hook.remove()


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
