"""Errors on CIFAR and SVHN of 21 networks as the DenseNet paper compares them, with the cells that do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnnviz.errors import unknown
from cnnviz.models.catalogue.summary import Summary, summaries

MEASURES = ("C10", "C10+", "C100", "C100+", "SVHN")
SOURCE = "Huang, Liu, van der Maaten, Weinberger, CVPR 2017 (arXiv:1608.06993), table 2"

# method | depth | parameters as printed | errors on C10, C10+, C100, C100+, SVHN, % | network in the catalogue | flag
_TABLE = """
Network in Network | – | – | 10.41 8.81 35.68 – 2.35 | nin_cifar10 |
All-CNN | – | – | 9.08 7.25 – 33.71 – | all_cnn_c |
Deeply Supervised Net | – | – | 9.69 7.97 – 34.57 1.92 | dsn_cifar10 |
Highway Network | – | – | – 7.72 – 32.39 – | highway19_cifar10 | 7.72 is a mean of several runs; the best has 7.60
FractalNet | 21 | 38.6M | 10.18 5.22 35.34 23.30 2.01 | fractalnet_c3b5 | the published generator gives 33.7M, not 38.6M
FractalNet, dropout and drop-path | 21 | 38.6M | 7.33 4.60 28.20 23.73 1.87 | fractalnet_c3b5 | 33.7M, not 38.6M
ResNet | 110 | 1.7M | – 6.61 – – – | resnet110_cifar | 6.61 is a mean of five runs; the best has 6.43
ResNet, of Huang et al. 2016 | 110 | 1.7M | 13.63 6.41 44.74 27.22 2.01 | resnet110_cifar |
Stochastic depth | 110 | 1.7M | 11.66 5.23 37.80 24.58 1.75 | stochastic_depth110 | SVHN was measured with 152 layers
Stochastic depth | 1202 | 10.2M | – 4.91 – – – | stochastic_depth1202 | 1,202 layers have 19.4M; 10.2M are ResNet-1001's
Wide ResNet-16-8 | 16 | 11.0M | – 4.81 – 22.07 – | wrn_16_8 |
Wide ResNet-28-10 | 28 | 36.5M | – 4.17 – 20.50 – | wrn_28_10 | 4.17 is after ZCA whitening; 4.00 without
Wide ResNet-16-4, dropout | 16 | 2.7M | – – – – 1.64 | wrn_16_4 |
ResNet, pre-activation | 164 | 1.7M | 11.26 5.46 35.58 24.33 – | preact_resnet164 | C10 and C100: run by Huang et al.
ResNet, pre-activation | 1001 | 10.2M | 10.56 4.62 33.47 22.71 – | preact_resnet1001 | 4.62: batches of 64
DenseNet, k=12 | 40 | 1.0M | 7.00 5.24 27.55 24.42 1.79 | densenet_40_k12 |
DenseNet, k=12 | 100 | 7.0M | 5.77 4.10 23.79 20.20 1.67 | densenet_100_k12 |
DenseNet, k=24 | 100 | 27.2M | 5.83 3.74 23.42 19.25 1.59 | densenet_100_k24 |
DenseNet-BC, k=12 | 100 | 0.8M | 5.92 4.51 24.15 22.27 1.76 | densenet_bc_100_k12 |
DenseNet-BC, k=24 | 250 | 15.3M | 5.19 3.62 19.64 17.60 1.74 | densenet_bc_250_k24 |
DenseNet-BC, k=40 | 190 | 25.6M | – 3.46 – 17.18 – | densenet_bc_190_k40 |
"""
WRONG_BY = 0.05  # of the count: what rounding and weights without norms do not explain


@dataclass(frozen=True, slots=True)
class CifarResult:
    """One row. `depth`: 0 where the table has none. `printed`: parameters as printed, in millions, 0 where there are
    none; `parameters`: of the registered network. `errors`: {measure: per cent}, of those that were published; "+":
    with shifts and flips. `note`: what to know of the row, "" for nothing."""

    method: str
    depth: int
    printed: float
    parameters: int
    errors: dict[str, float]
    network: str
    note: str

    @property
    def wrong(self) -> bool:
        """Whether the printed count is not the network's."""
        return self.printed > 0 and abs(self.printed * 1e6 - self.parameters) > WRONG_BY * self.parameters


def cifar_results(order: str = "") -> tuple[CifarResult, ...]:
    """The table's rows, in its order; `order`: sorted by "parameters", "depth" or one of MEASURES, what is not known
    last. Source: Huang et al., CVPR 2017, table 2. Raises UnknownName for another order."""
    if order not in ("", "parameters", "depth", *MEASURES):
        unknown("column", order, ("parameters", "depth", *MEASURES))
    known = summaries()
    rows = tuple(_read_row(line, known) for line in _TABLE.strip().splitlines())
    if order in MEASURES:
        return tuple(sorted(rows, key=lambda row: row.errors.get(order, float("inf"))))
    if order:
        return tuple(sorted(rows, key=lambda row: getattr(row, order) or float("inf")))
    return rows


def _read_row(line: str, known: Mapping[str, Summary]) -> CifarResult:
    method, depth, printed, errors, network, note = (cell.strip() for cell in line.split("|"))
    values = dict(zip(MEASURES, errors.split(), strict=True))
    return CifarResult(
        method,
        int(depth.replace("–", "0")),
        float(printed.rstrip("M").replace("–", "0")),
        known[network].parameters,
        {measure: float(value) for measure, value in values.items() if value != "–"},
        network,
        note,
    )
