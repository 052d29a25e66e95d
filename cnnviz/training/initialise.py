"""Initial weights of a recipe, in place of those that the architecture draws."""

from __future__ import annotations

from torch import nn

from cnnviz.training.recipe import read_deviation

_WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)


def initialise(module: nn.Module, how: str) -> None:
    """Draw the weights of all convolutions and linear layers anew, from PyTorch's generator, and set their biases to
    0; norms stay as they are. `how`: as `Recipe.initialisation`; "default" changes nothing.

    Sources: "he": He et al., ICCV 2015, normal with variance 2 / fan-in; "xavier": Glorot and Bengio, AISTATS 2010,
    uniform in ±√(6 / (fan-in + fan-out))."""
    if how == "default":
        return
    deviation = read_deviation(how)
    for layer in module.modules():
        if not isinstance(layer, _WEIGHTED):
            continue
        if deviation is not None:
            nn.init.normal_(layer.weight, std=deviation)
        elif how == "he":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif how == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        else:
            nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
