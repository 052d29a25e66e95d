"""Anatomies made by hand: a chain, a residual block, an Inception module, a dense block."""

from math import prod

from cnnviz.studies.anatomy.rows import Anatomy, BlockRow, LayerRow

Made = tuple[str, str, str, tuple[int, ...], tuple[int, ...]]  # layer, kind, block, output, parents


def anatomy_of(made: list[Made], kinds: dict[str, str] | None = None) -> Anatomy:
    """`made`: (layer, kind, block, output, parents) of every row; `kinds` of blocks, "conv" where not given.
    A convolution is 3×3 (1×1 if its name ends in "one") with 10 parameters and 100 multiply-adds."""
    rows = tuple(_row(i, *row) for i, row in enumerate(made))
    names = list(dict.fromkeys(row.block for row in rows))
    blocks = tuple(_block(name, [r for r in rows if r.block == name], names, rows, kinds or {}) for name in names)
    kept = 3 * 8 * 8 + sum(r.activations for r in rows if r.kind in ("conv", "pool", "linear"))
    parameters, macs = sum(r.parameters for r in rows), sum(r.macs for r in rows)
    return Anatomy("made", "Made", (3, 8, 8), rows, blocks, parameters, parameters, macs, 3, kept, 4 * kept)


def _row(index: int, layer: str, kind: str, block: str, output: tuple[int, ...], parents: tuple[int, ...]) -> LayerRow:
    window = ((1, 1) if layer.endswith("one") else (3, 3)) if kind in ("conv", "pool") else None
    heavy = kind in ("conv", "linear")
    detail, step = {"norm": "batch norm", "activation": "ReLU"}.get(kind, f"{kind} of {layer}"), window and (1, 1)
    place = {"kernel": window, "stride": step, "padding": step, "receptive_field": (3, 3), "parents": parents}
    counts = {"groups": 1, "parameters": 10 * heavy, "weights": 10 * heavy, "macs": 100 * heavy}
    values = {"activations": prod(output), "activation_bytes": 4 * prod(output)}
    return LayerRow(index, layer, kind, detail, block, output, **place, **counts, **values)


def _block(
    name: str, own: list[LayerRow], names: list[str], rows: tuple[LayerRow, ...], kinds: dict[str, str]
) -> BlockRow:
    reads = sorted({names.index(rows[p].block) for r in own for p in r.parents if rows[p].block != name})
    names_of_counts = ("parameters", "weights", "macs", "activations")
    counts = (sum(getattr(row, count) for row in own) for count in names_of_counts)
    rows_of_block = tuple(r.index for r in own)
    return BlockRow(name, kinds.get(name, "conv"), own[-1].output, 1, *counts, (3, 3), rows_of_block, tuple(reads))


MAP = (4, 8, 8)


def residual(blocks: int = 1) -> Anatomy:
    """stem, then residual blocks conv–BN–ReLU–conv–BN–add–ReLU."""
    made: list[Made] = [("stem", "conv", "stem", MAP, ())]
    for n in range(blocks):
        first, name = len(made), f"layer{n}"
        enters = first - 1
        made += [
            (f"{name}.conv1", "conv", name, MAP, (enters,)),
            (f"{name}.bn1", "norm", name, MAP, (first,)),
            (f"{name}.relu", "activation", name, MAP, (first + 1,)),
            (f"{name}.conv2", "conv", name, MAP, (first + 2,)),
            (f"{name}.bn2", "norm", name, MAP, (first + 3,)),
            (f"{name} +", "add", name, MAP, (enters, first + 4)),
            (f"{name}.relu2", "activation", name, MAP, (first + 5,)),
        ]
    return anatomy_of([*made, ("fc", "linear", "fc", (10,), (len(made) - 1,))])


def inception() -> Anatomy:
    """stem, then a module of four branches and their concatenation."""
    return anatomy_of(
        [
            ("stem", "conv", "stem", MAP, ()),
            ("mix.a_one", "conv", "mix", MAP, (0,)),
            ("mix.b_one", "conv", "mix", MAP, (0,)),
            ("mix.b", "conv", "mix", MAP, (2,)),
            ("mix.c_one", "conv", "mix", MAP, (0,)),
            ("mix.c", "conv", "mix", MAP, (4,)),
            ("mix.pool", "pool", "mix", MAP, (0,)),
            ("mix.d_one", "conv", "mix", MAP, (6,)),
            ("mix cat", "concat", "mix", (16, 8, 8), (1, 3, 5, 7)),
        ]
    )


def dense(layers: int) -> Anatomy:
    """stem, then a dense block: every layer reads the stem and all layers before it."""
    made: list[Made] = [("stem", "conv", "stem", MAP, ())]
    outputs = [0]
    for n in range(layers):
        name = f"block.layer{n}"
        if len(outputs) > 1:
            made.append((f"{name} cat", "concat", name, MAP, tuple(outputs)))
        made.append((f"{name}.conv", "conv", name, MAP, (len(made) - 1,) if len(outputs) > 1 else (0,)))
        outputs.append(len(made) - 1)
    return anatomy_of(made, {f"block.layer{n}": "dense" for n in range(layers)})
