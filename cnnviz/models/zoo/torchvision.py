"""torchvision's classifiers and weights: `torchvision:NAME` or `torchvision:NAME.TAG` for anything it builds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cnnviz.data.preprocessing import RESAMPLING, Preprocessing
from cnnviz.errors import BadInput, unknown
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.catalogue.meta_build import build_anywhere
from cnnviz.models.zoo.public_weights import PublicWeights, unknown_tag
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import nn
    from torchvision.models import WeightsEnum

LICENCE = (
    "torchvision's code: BSD-3-Clause. The weights were trained on ImageNet, whose terms allow non-commercial "
    "research and teaching."
)
_KINDS = {
    "detection": "finds objects",
    "segmentation": "labels every pixel",
    "video": "takes films",
    "optical_flow": "compares two images",
    "quantization": "computes in 8 bits, without tensors to look at",
}  # package of torchvision.models → what its networks do


def names() -> list[str]:
    """The image classifiers of torchvision, sorted."""
    from cnnviz.torchvision_import import models

    return sorted(models.list_models(module=models))


def architecture(rest: str) -> Architecture:
    """The entry of torchvision:`rest`; without a tag, the weights are torchvision's default ones.

    Raises UnknownName with the closest names, BadInput for what is no image classifier."""
    name, _, tag = rest.partition(".")
    chosen = _weights(name, tag)
    entry = _describe(chosen)
    return Architecture(
        name=f"torchvision:{rest}",
        title=f"{name} (torchvision)",
        family="torchvision",
        builder=partial(_build, name=name, **_fixed(name, chosen)),
        preprocessing=entry.preprocessing,
        classes=len(entry.meta["categories"]),
        labels="imagenet" if len(entry.meta["categories"]) == 1000 else tuple(entry.meta["categories"]),
        source=f"torchvision; weights {entry.name}",
        pretrained=entry.name,
        published=_result(entry.meta["_metrics"]),
    )


def weights(key: str) -> PublicWeights:
    """The weights of torchvision:`key`."""
    name, _, tag = key.partition(".")
    return _describe(_weights(name, tag))


def enum_entry(name: str) -> PublicWeights:
    """The weights entry "ResNet50_Weights.IMAGENET1K_V2" and the like."""
    from cnnviz.torchvision_import import models

    return _describe(models.get_weight(name))


def _weights(name: str, tag: str) -> WeightsEnum:
    from cnnviz.torchvision_import import models

    if name not in models.list_models(module=models):
        _refuse(name)
    offered = models.get_model_weights(name)
    if tag and tag not in offered.__members__:
        unknown_tag(f"torchvision:{name}", tag, offered.__members__)
    return offered[tag] if tag else offered.DEFAULT


def _refuse(name: str) -> None:
    from cnnviz.torchvision_import import models

    if name in models.list_models():
        kind = models.get_model_builder(name).__module__.split(".")[2]
        raise BadInput(
            f"torchvision:{name} {_KINDS.get(kind, 'does something else')}: it is no image classifier with input "
            "(N, 3, H, W), which is what cnnviz looks at. List those: `cnnviz list torchvision`."
        )
    unknown("torchvision network", name, models.list_models(module=models))


def _describe(entry: WeightsEnum) -> PublicWeights:
    preset = entry.transforms()
    meta = {**entry.meta, "categories": list(entry.meta["categories"])}
    side, resampling = preset.crop_size[0], preset.interpolation.value
    return PublicWeights(
        name=str(entry),
        source="torchvision",
        url=entry.url,
        preprocessing=Preprocessing(
            (side, side),
            resize=preset.resize_size[0],
            mean=tuple(preset.mean),
            std=tuple(preset.std),
            interpolation=resampling if resampling in RESAMPLING else "bilinear",
        ),
        meta=meta,
        licence=LICENCE,
        condition=f"one network, one centre crop of {plural(side, 'pixel')}, ImageNet validation set",
        size_bytes=round(meta.get("_file_size", 0.0) * 2**20),
        note=meta.get("_docs", "").strip().replace("\n", " ").split(". ")[0].strip(),
    )


def _result(metrics: dict[str, dict[str, float]]) -> str:
    return "; ".join(f"{data}: " + ", ".join(f"{k} {v} %" for k, v in found.items()) for data, found in metrics.items())


def _fixed(name: str, chosen: WeightsEnum) -> dict[str, Any]:
    """Options of the builder that the weights ask for."""
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": False}
    if name.startswith("vit_"):  # one position embedding a patch
        return {"image_size": chosen.meta["min_size"][0]}
    return {}


def _build(num_classes: int, name: str, **options: Any) -> nn.Module:
    from cnnviz.torchvision_import import models

    return build_anywhere(lambda: models.get_model(name, weights=None, num_classes=num_classes, **options))
