"""Network in Network: a linear convolution against an mlpconv layer, and a classifier without linear layers."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.studies.anatomy.anatomy import anatomy

MIB = 2**20
FLOAT = 4  # bytes of a float32


@dataclass(frozen=True, slots=True)
class MlpconvLayer:
    """One mlpconv layer. `name`: "mlpconv1"; `linear`, `mlp`: (layers in words, parameters, multiply-adds) of its
    spatial convolution alone, and with the 1×1 convolutions behind it."""

    name: str
    output: tuple[int, ...]
    linear: tuple[str, int, int]
    mlp: tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class HeadSize:
    """A network's parameters before its classifier and in it, and all of them as float32 in MiB (2²⁰ bytes)."""

    title: str
    features: int
    head: int

    @property
    def mebibytes(self) -> float:
        return FLOAT * (self.features + self.head) / MIB


def mlpconv_layers() -> tuple[MlpconvLayer, ...]:
    """The four mlpconv layers of the registered nin_imagenet.

    Source: Lin, Chen, Yan, Network in Network, ICLR 2014 (arXiv:1312.4400), section 3.1, figure 1."""
    groups: list[list] = []
    for row in anatomy("nin_imagenet").rows:
        if row.kind == "conv":
            if row.kernel != (1, 1):
                groups.append([])
            groups[-1].append(row)
    made = []
    for number, rows in enumerate(groups, 1):
        texts = [row.detail.replace(" conv", "") for row in rows]
        all_of = (" → ".join(texts), sum(r.parameters for r in rows), sum(r.macs for r in rows))
        made.append(
            MlpconvLayer(f"mlpconv{number}", rows[-1].output, (texts[0], rows[0].parameters, rows[0].macs), all_of)
        )
    return tuple(made)


def head_sizes() -> tuple[HeadSize, ...]:
    """alexnet_2012 with its three linear layers, nin_imagenet with global average pooling, which has no parameters.

    Source: Lin et al., section 3.2."""
    made = []
    for name, title in (("alexnet_2012", "AlexNet"), ("nin_imagenet", "Network in Network")):
        found = anatomy(name)
        head = sum(row.parameters for row in found.rows if row.kind == "linear")
        made.append(HeadSize(title, found.parameters - head, head))
    return tuple(made)
