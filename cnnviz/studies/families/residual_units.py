"""Residual units as He et al. 2016 varied them: what the shortcut does to its signal, and the order of the layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.errors import BadInput
from cnnviz.models.catalogue.summary import summaries

UNITS = 54  # of ResNet-110: (110 − 2) / 2
PAPER = "He, Zhang, Ren, Sun, ECCV 2016 (arXiv:1603.05027)"
FAILS = "fails"
# key | name | shortcut h(x) | residual path | gate bias | error on CIFAR-10, % | network in the catalogue
_SHORTCUTS = """
identity | identity | x | F(x) | – | 6.61 | resnet110_cifar
half_shortcut | constant scaling | 0.5 x | F(x) | – | fails | resnet110_constant_scaling
half_both | constant scaling | 0.5 x | 0.5 F(x) | – | 12.35 | resnet110_constant_scaling
none | plain | none | F(x) | – | fails | plain110_cifar
exclusive_0 | exclusive gate | (1 − g) x | g F(x) | 0 | fails | resnet110_exclusive_gating
exclusive_6 | exclusive gate | (1 − g) x | g F(x) | -6 | 8.70 | resnet110_exclusive_gating
exclusive_7 | exclusive gate | (1 − g) x | g F(x) | -7 | 9.81 | resnet110_exclusive_gating
gate_0 | shortcut-only gate | (1 − g) x | F(x) | 0 | 12.86 | resnet110_shortcut_gating
gate_6 | shortcut-only gate | (1 − g) x | F(x) | -6 | 6.91 | resnet110_shortcut_gating
conv | 1×1 convolution | W x | F(x) | – | 12.22 | resnet110_conv_shortcut
dropout | dropout | 0.5 x on average | F(x) | – | fails | resnet110_dropout_shortcut
"""
_FACTORS = {"identity": 1.0, "half_shortcut": 0.5, "half_both": 0.5, "none": 0.0, "dropout": 0.5}


@dataclass(frozen=True, slots=True)
class ShortcutVariant:
    """One row of table 1. `factor`: λ, what one shortcut multiplies its signal by: of a gate 1 − sigmoid(bias), that is
    at the start and for a gate that sees 0; of dropout its mean; None of a convolution, which is no number. `error`:
    CIFAR-10 with flips and crops, per cent, or "fails" (above 20 %). `parameters`: of the registered network."""

    key: str
    name: str
    shortcut: str
    residual: str
    bias: float | None
    factor: float | None
    error: str
    network: str
    parameters: int

    def product(self, units: int = UNITS) -> float | None:
        """λ multiplied over so many units: what is left of a signal, or of a gradient, on the shortcuts alone."""
        return None if self.factor is None else self.factor**units


def shortcut_variants() -> tuple[ShortcutVariant, ...]:
    """The variants of ResNet-110 in the order of the paper's table 1 (section 3, equations 6 to 8).

    The 54 units have basic blocks; the first of stages 2 and 3 change the shape and have option A besides."""
    made, known = [], summaries()
    for line in _SHORTCUTS.strip().splitlines():
        key, name, shortcut, residual, bias, error, network = (cell.strip() for cell in line.split("|"))
        gate = None if bias == "–" else float(bias)
        factor = _FACTORS.get(key) if gate is None else 1 - 1 / (1 + math.exp(-gate))
        made.append(
            ShortcutVariant(key, name, shortcut, residual, gate, factor, error, network, known[network].parameters)
        )
    return tuple(made)


CHAIN = ("conv", "BN", "ReLU")  # repeated, it is every network of these layers
BEHIND = {"convolution": 0, "batch norm": 1, "ReLU": 2}  # place in CHAIN that the sum follows


@dataclass(frozen=True, slots=True)
class UnitOrder:
    """Where a residual unit of two convolutions ends in the chain conv, BN, ReLU, conv, BN, ReLU, …

    `sum_behind`: place in CHAIN that the addition follows. `shortcut_behind`: the same of where the next shortcut
    starts: directly at the sum, or behind the ReLU, so that what lies between them is on the shortcut's way, too.
    `branch`: layers of F from the start of the shortcut to the sum. `after`: layers between the sum and the next unit.
    Errors of ResNet-110 and ResNet-164 on CIFAR-10, per cent; `figure`: 4(a) to 4(e)."""

    name: str
    figure: str
    sum_behind: int
    shortcut_behind: int
    branch: tuple[str, ...]
    after: tuple[str, ...]
    error110: float
    error164: float


# name | figure | the sum follows | the shortcut starts behind | ResNet-110 | ResNet-164
_ORDERS = """
original | 4(a) | batch norm | ReLU | 6.61 | 5.93
BN after addition | 4(b) | convolution | ReLU | 8.17 | 6.50
ReLU before addition | 4(c) | ReLU | ReLU | 7.84 | 6.14
ReLU-only pre-activation | 4(d) | batch norm | batch norm | 6.71 | 5.91
full pre-activation | 4(e) | convolution | convolution | 6.37 | 5.46
"""


def unit_orders() -> tuple[UnitOrder, ...]:
    """The five orders of figure 4 and table 2, each derived from where the chain is cut."""
    made = []
    for line in _ORDERS.strip().splitlines():
        name, figure, at, start, first, second = (cell.strip() for cell in line.split("|"))
        branch, after = cut_chain(BEHIND[at], BEHIND[start])
        made.append(UnitOrder(name, figure, BEHIND[at], BEHIND[start], branch, after, float(first), float(second)))
    return tuple(made)


def cut_chain(sum_behind: int, shortcut_behind: int, convolutions: int = 2) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(layers of F, layers between the sum and the next unit) of a unit of so many convolutions.

    Both places count in CHAIN. Raises BadInput where the shortcut would start before the sum."""
    if not 0 <= sum_behind <= shortcut_behind < len(CHAIN):
        raise BadInput(
            f"The next shortcut starts at the sum or behind it, at places 0 to 2, got a sum behind {sum_behind} and a "
            f"shortcut behind {shortcut_behind}."
        )
    first = shortcut_behind + 1
    last = len(CHAIN) * convolutions + sum_behind
    chain = [CHAIN[at % len(CHAIN)] for at in range(first, last + 1)]
    after = tuple(CHAIN[at] for at in range(sum_behind + 1, shortcut_behind + 1))
    return tuple(chain), after
