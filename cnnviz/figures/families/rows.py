"""Rows of the tables that compare families of networks, from their results, for `table_scene`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import CHOSEN
from cnnviz.figures.families.table import CHANGED, CHOSEN_ROW, Row, TableCell, mark

if TYPE_CHECKING:
    from cnnviz.studies.families.ablations import AblatedNetwork, Ablation
    from cnnviz.studies.families.cifar_errors import CifarResult
    from cnnviz.studies.families.inception import AuxiliaryCost, BranchCost, PrintedRow
    from cnnviz.studies.families.layer_tables import Configuration, LayerChange
    from cnnviz.studies.families.mlpconv import MlpconvLayer
    from cnnviz.studies.families.residual_units import ShortcutVariant, UnitOrder


def configuration_rows(columns: Sequence[Configuration]) -> list[Row]:
    """VGG's table: a column a configuration, bold and marked what each adds to the one before."""
    rows: list[Row] = [["", *(column.name for column in columns)]]
    rows.append(["layers with weights", *(str(column.layers) for column in columns)])
    for stage in range(len(columns[0].stages)):
        for line in range(max(len(column.stages[stage]) for column in columns)):
            first = f"stage {stage + 1}" if line == 0 else ""
            rows.append([first, *(_layer_cell(column.stages[stage], line) for column in columns)])
    shared = "pool after each stage; fc 4096, 4096, 1000"
    for name, texts in (
        ("parameters", [f"{column.parameters:,}" for column in columns]),
        ("without biases", [f"{column.weights:,}" for column in columns]),
        ("multiply-adds", [count_text(column.macs) for column in columns]),
        ("top-1 / top-5 error, %", [f"{column.top1} / {column.top5}" for column in columns]),
    ):
        rows.append([TableCell(name, title=shared), *texts])
    return rows


def _layer_cell(stage: Sequence[tuple[str, bool]], line: int) -> TableCell:
    if line >= len(stage):
        return TableCell("")
    layer, added = stage[line]
    return TableCell(layer, added, CHANGED if added else "")


def change_rows(changes: Sequence[LayerChange], shown: Sequence[str]) -> list[Row]:
    """A line a layer: both networks' values as "11 → 7" and marked where they differ, once where they do not."""
    rows: list[Row] = [["layer", *shown]]
    for change in changes:
        cells: list[TableCell | str] = [change.name]
        for what in shown:
            before, after = change.before[what], change.after[what]
            differs = change.changed(what)
            cells.append(TableCell(f"{before} → {after}" if differs else after, differs, CHANGED if differs else ""))
        rows.append(cells)
    return rows


def mlpconv_rows(layers: Sequence[MlpconvLayer]) -> list[Row]:
    """A line an mlpconv layer: the linear convolution, and with the 1×1 convolutions behind it."""
    rows: list[Row] = [
        ["layer", "layers, ReLU behind each", "parameters: linear", "mlpconv", "multiply-adds: linear", "mlpconv"]
    ]
    for layer in layers:
        counts = [f"{n:,}" for n in (layer.linear[1], layer.mlp[1])] + [
            count_text(n) for n in (layer.linear[2], layer.mlp[2])
        ]
        rows.append([layer.name, layer.mlp[0], *counts])
    return rows


def printed_rows(rows: Sequence[PrintedRow], heads: AuxiliaryCost) -> list[Row]:
    """GoogLeNet's table: printed and counted side by side, what does not hold marked; sums and heads below."""
    table: list[Row] = [
        ["row", "output", "parameters, printed", "counted", "with biases", "operations, printed", "counted"]
    ]
    for row in rows:
        size = "×".join(map(str, (*row.output[1:], row.output[0])))
        printed = f"{row.printed_k:g}K", f"{row.printed_m:g}M"
        table.append(
            [
                row.name,
                size,
                mark(printed[0], row.wrong_parameters),
                f"{row.weights / 1024:,.1f}K",
                f"{row.parameters:,}",
                mark(printed[1], row.wrong_operations),
                f"{row.macs / 1e6:,.1f}M",
            ]
        )
    sums = (sum(row.printed_k for row in rows), sum(row.printed_m for row in rows))
    counted = sum(row.parameters for row in rows), sum(row.macs for row in rows)
    weights = sum(row.weights for row in rows)
    cells = [f"{sums[0]:,.1f}K", f"{weights / 1024:,.1f}K", f"{counted[0]:,}"]
    cells += [f"{sums[1]:,.0f}M", f"{counted[1] / 1e6:,.2f}M"]
    table.append([TableCell("sum", True), "", *(TableCell(cell, True) for cell in cells)])
    for name, count in zip(("head on 4a", "head on 4d"), heads.heads, strict=True):
        table.append([name, "in training", "", "", f"{count:,}", "", ""])
    table.append([TableCell("with heads", True), "", "", "", TableCell(f"{heads.total:,}", True), "", ""])
    return table


def branch_rows(naive: Sequence[BranchCost], reduced: Sequence[BranchCost]) -> list[Row]:
    """The branches of both modules with channels and multiply-adds, and their sums."""
    rows: list[Row] = [["branch", "naive", "channels", "multiply-adds", "reduced", "channels", "multiply-adds"]]
    for number, pair in enumerate(zip(naive, reduced, strict=True), 1):
        cells = [str(number)]
        for branch in pair:
            cells += [" → ".join(branch.layers).replace(" conv", ""), str(branch.channels), _sum_text(branch.macs)]
        rows.append(cells)
    total: list[TableCell | str] = [TableCell("sum", True)]
    for module in (naive, reduced):
        macs = sum(sum(branch.macs) for branch in module)
        total += ["", TableCell(str(sum(b.channels for b in module)), True), TableCell(f"{macs:,}", True)]
    return [*rows, total]


def _sum_text(macs: Sequence[int]) -> str:
    return " + ".join(f"{n:,}" for n in macs) or "0"


def shortcut_rows(variants: Sequence[ShortcutVariant], chosen: str, units: int) -> list[Row]:
    """A line a variant of the shortcut, the chosen one marked; a click chooses another."""
    rows: list[Row] = [["shortcut", "h(x)", "residual", "gate bias", "λ", f"λ^{units}", "error, %", "parameters"]]
    for one in variants:
        fill = CHOSEN_ROW if one.key == chosen else ""
        factor = "matrix" if one.factor is None else f"{one.factor:.4g}"
        product = one.product(units)
        cells = [one.name, one.shortcut, one.residual, "" if one.bias is None else f"{one.bias:g}".replace("-", "−")]
        cells += [factor, "" if product is None else product_text(product), one.error, f"{one.parameters:,}"]
        rows.append([TableCell(text, bool(fill), fill, item=one.key) for text in cells])
    return rows


def product_text(value: float) -> str:
    """1, 0.875, 5.55·10^−17; fonts of drawings have no raised digits."""
    if value == 0 or value >= 0.001:
        return f"{value:.3g}"
    digits, power = f"{value:.2e}".split("e")
    return f"{digits}·10^−{abs(int(power))}"


def order_rows(orders: Sequence[UnitOrder], chosen: UnitOrder) -> list[Row]:
    """A line an order of the layers in a unit, the chosen one marked."""
    rows: list[Row] = [
        [
            "order",
            "figure",
            "F, from the shortcut's start to the sum",
            "behind the sum",
            "ResNet-110, %",
            "ResNet-164, %",
        ]
    ]
    for one in orders:
        fill = CHOSEN_ROW if one == chosen else ""
        cells = [one.name, one.figure, " ".join(one.branch), " ".join(one.after) or "nothing"]
        cells += [f"{one.error110:.2f}", f"{one.error164:.2f}"]
        rows.append([TableCell(text, bool(fill), fill, item=one.name) for text in cells])
    return rows


def cifar_rows(results: Sequence[CifarResult], measures: Sequence[str], narrow: bool = False) -> list[Row]:
    """A line a network: counts as printed and as built, errors, and a flag that says what does not hold.

    `narrow`: without the words of the flag, which the cells tell when pointed at."""
    best = {m: min((r.errors[m] for r in results if m in r.errors), default=0.0) for m in measures}
    head = ["network", "depth", "parameters", "built", *measures, "flag"]
    rows: list[Row] = [head]
    for one in results:
        printed = f"{one.printed:g}M" if one.printed else "–"
        cells: list[TableCell | str] = [
            one.method,
            str(one.depth or "–"),
            mark(printed, one.wrong, one.note),
            f"{one.parameters / 1e6:.2f}M",
        ]
        for measure in measures:
            error = one.errors.get(measure)
            cells.append("–" if error is None else TableCell(f"{error:.2f}", error == best[measure]))
        flag = ("!" if one.note else "") if narrow else one.note
        cells.append(TableCell(flag, ink=CHOSEN if one.wrong else "#5b6470", title=one.note))
        rows.append(cells)
    return rows


def ablation_rows(found: Sequence[Ablation]) -> list[Row]:
    """A line a component, gains and losses in two colours."""
    rows: list[Row] = [["component", "change", "mAP, points", ""]]
    for one in found:
        said = "about 0" if one.points == 0 else f"{one.points:+.3g}".replace("-", "−")
        fill = "" if one.points == 0 else CHOSEN_ROW if one.points > 0 else CHANGED
        rows.append([one.component, one.change, TableCell(said, one.points != 0, fill), one.remark])
    return rows


def ablated_rows(found: Sequence[AblatedNetwork]) -> list[Row]:
    """A line a network: first layer, counts, error."""
    rows: list[Row] = [["network", "first layer", "parameters", "multiply-adds", "top-5 error, %"]]
    for one in found:
        rows.append([one.name, one.first, f"{one.parameters:,}", f"{one.macs:,}", f"{one.top5}"])
    return rows
