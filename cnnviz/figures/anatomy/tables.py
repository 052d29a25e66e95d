"""Anatomy as tables and sentences: layers, blocks, totals, and two networks compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cnnviz.figures.anatomy.nodes import shape_text
from cnnviz.figures.base.text import size_text
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy


def layer_table(anatomy: Anatomy, kind: str = "layer") -> dict[str, list[Any]]:
    """Columns of the table of layers, or with kind "block" of blocks; counts are whole numbers of one image."""
    rows: Sequence[Any] = anatomy.rows if kind == "layer" else anatomy.blocks
    if kind == "layer":
        table: dict[str, list[Any]] = {
            "layer": [r.layer for r in rows],
            "operation": [r.detail for r in rows],
            "output (h×w×maps)": [shape_text(r.output) for r in rows],
            "kernel": [size_text(r.kernel) for r in rows],
            "stride": [size_text(r.stride) for r in rows],
            "padding": [size_text(r.padding) for r in rows],
        }
    else:
        table = {
            "block": [r.block for r in rows],
            "kind": [r.kind for r in rows],
            "output (h×w×maps)": [shape_text(r.output) for r in rows],
            "depth": [r.depth for r in rows],
        }
    bytes_of = [r.activation_bytes if kind == "layer" else 4 * r.activations for r in rows]
    return table | {
        "parameters": [r.parameters or None for r in rows],
        "MACs": [r.macs or None for r in rows],
        "activation bytes": bytes_of,
        "receptive field": [size_text(r.receptive_field) for r in rows],
    }


def totals_sentence(anatomy: Anatomy) -> str:
    """All totals to the unit, in words."""
    return (
        f"**{anatomy.title}**, totals for one image: {plural(anatomy.parameters, 'parameter')}, of which "
        f"{anatomy.weights:,} "
        f"weights; {anatomy.macs:,} multiply-adds; {anatomy.activations:,} activations = "
        f"{anatomy.activation_bytes / 1e6:,.2f} MB as float32; {plural(anatomy.depth, 'layer')} deep."
    )


def compare_totals(pair: Sequence[Anatomy]) -> dict[str, list[str]]:
    """The totals of two networks side by side, with the second's multiple of the first."""
    a, b = pair
    counts = {
        "parameters": (a.parameters, b.parameters),
        "multiply-adds": (a.macs, b.macs),
        "activations": (a.activations, b.activations),
        "depth, layers": (a.depth, b.depth),
    }
    table = {"": [a.title, b.title if b.title != a.title else f"{b.title} ({b.name})", "second / first"]}
    table["input"] = [shape_text(a.input_size), shape_text(b.input_size), ""]
    for name, (first, second) in counts.items():
        share = f"{second / first:.3g} ×" if first else ""
        table[name] = [f"{first:,}", f"{second:,}", share]
    table["activation memory"] = [*(f"{one.activation_bytes / 1e6:,.2f} MB" for one in pair), table["activations"][2]]
    table["largest receptive field"] = [*(_largest_field(one) for one in pair), ""]
    return table


def _largest_field(anatomy: Anatomy) -> str:
    """What one unit of the deepest map sees at most."""
    seen = [r.receptive_field for r in anatomy.rows if r.receptive_field and min(r.output[1:], default=0) > 1]
    return size_text(max(seen, key=lambda pair: pair[0] * pair[1], default=None))
