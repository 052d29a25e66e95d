"""What single components are worth to a network's features: the published differences, and the networks themselves."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.studies.anatomy.anatomy import anatomy

NETWORKS = {"cnn_f": ("CNN-F", 16.7), "cnn_m": ("CNN-M", 13.7), "cnn_s": ("CNN-S", 13.1)}  # top-5, ILSVRC-2012, %
SOURCE = "Chatfield, Simonyan, Vedaldi, Zisserman, BMVC 2014 (arXiv:1405.3531)"


@dataclass(frozen=True, slots=True)
class AblatedNetwork:
    """One of the three networks, counted from the registered one. `first`: its first layer; `top5`: published error on
    ILSVRC-2012, %."""

    name: str
    first: str
    parameters: int
    macs: int
    top5: float


@dataclass(frozen=True, slots=True)
class Ablation:
    """One component that was changed. `points`: the published difference of the mean average precision on VOC 2007, in
    points, as rounded by the lecture notes; 0 for one that is called marginal."""

    component: str
    change: str
    points: float
    remark: str


def ablated_networks() -> tuple[AblatedNetwork, ...]:
    """CNN-F, CNN-M and CNN-S: fast, medium and slow."""
    found = []
    for key, (name, top5) in NETWORKS.items():
        table = anatomy(key)
        first = next(row for row in table.rows if row.kind == "conv")
        found.append(AblatedNetwork(name, first.detail, table.parameters, table.macs, top5))
    return tuple(found)


def ablations() -> tuple[Ablation, ...]:
    """Each is against the paper's own control; they cannot be added up."""
    return (
        Ablation("first layer", "CNN-F → CNN-M", 2.5, "smaller stride and kernels, more maps"),
        Ablation("stride, window of pooling", "CNN-M → CNN-S", 0.0, "marginally better"),
        Ablation("crops of the image", "none → 10 crops, averaged", 3.0, "4 corners and the middle, and mirrored"),
        Ablation("colour", "RGB → grey", -3.0, ""),
        Ablation("length of the features", "as they are → L2 norm 1", 5.0, "before the linear classifier"),
        Ablation("fc7", "4096 → 2048 or 1024", 0.0, "marginally better"),
        Ablation("fc7", "4096 → 128", -2.0, "features 32 times smaller"),
        Ablation("training on VOC itself", "none → ranking loss", 2.7, "all layers fine-tuned"),
    )
