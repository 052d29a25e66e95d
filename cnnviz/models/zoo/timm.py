"""timm's image classifiers: `timm:NAME` or `timm:NAME.TAG`, the tag naming one of several weights."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING

from cnnviz.data.class_names import class_names
from cnnviz.data.preprocessing import RESAMPLING, Preprocessing
from cnnviz.errors import BadInput, unknown
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.zoo.public_weights import HUB, HUB_VARIABLE, PublicWeights, unknown_tag
from cnnviz.wording import plural

if TYPE_CHECKING:
    from timm.models import PretrainedCfg
    from torch import nn

EMBEDDINGS = (0, 384, 512, 640, 768, 1024, 1152, 1280)  # widths of outputs that are features, not classes
_CROPS = {
    "squash": "timm squeezes the whole image into a square; here it keeps its proportions and is cropped.",
    "border": "timm pads the image to a square; here it is cropped.",
}
_LICENCE = "The weights: {licence}. Trained on ImageNet or larger sets, whose terms may allow research alone."


def names() -> list[str]:
    """The networks that timm builds and that have classes, sorted."""
    import timm

    return [name for name in timm.list_models() if _config(name).num_classes not in EMBEDDINGS]


def architecture(rest: str) -> Architecture:
    """The entry of timm:`rest`. Raises UnknownName with the closest names, BadInput for what has no classes."""
    config = _check(rest)
    name = str(config.architecture)
    full = f"{name}.{config.tag}" if config.tag else name
    return Architecture(
        name=f"timm:{rest}",
        title=f"{full} (timm)",
        family="timm",
        builder=partial(_build, name=full),
        preprocessing=_preprocessing(config),
        classes=config.num_classes,
        labels=_labels(config),
        source=f"timm; {config.paper_ids or config.origin_url or 'weights ' + full}",
        pretrained=f"timm:{full}" if _address(config) else None,
        note=_CROPS.get(config.crop_mode, ""),
    )


def weights(key: str) -> PublicWeights:
    """The public weights timm:`key`. Raises as `architecture`."""
    config = _check(key)
    side = config.input_size[1]
    return PublicWeights(
        name=f"timm:{key}",
        source="timm",
        url=_address(config) or "",
        preprocessing=_preprocessing(config),
        meta={"categories": class_names(_labels(config), config.num_classes), "recipe": config.origin_url or ""},
        licence=_LICENCE.format(licence=config.license or "no licence told"),
        condition=f"timm tells no accuracy with the weights; they expect one centre crop of {plural(side, 'pixel')}",
        note=_CROPS.get(config.crop_mode, ""),
    )


def _check(rest: str) -> PretrainedCfg:
    import timm

    name, _, tag = rest.partition(".")
    if not timm.is_model(name):
        unknown("timm network", name, timm.list_models())
    tags = [found.partition(".")[2] for found in timm.list_pretrained(f"{name}.*")]
    if tag and tag not in tags:
        unknown_tag(f"timm:{name}", tag, tags)
    config = _config(rest)
    if config.num_classes in EMBEDDINGS:
        classified = [t for t in tags if _config(f"{name}.{t}").num_classes not in EMBEDDINGS]
        instead = f" Its weights with classes: {', '.join(classified[:4])}." if classified else ""
        raise BadInput(
            f"timm:{rest} describes images by features and has no classes: it is no classifier, which is what cnnviz "
            f"looks at.{instead} List those: `cnnviz list timm`."
        )
    return config


def _config(name: str) -> PretrainedCfg:
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(name)
    assert config is not None  # callers pass names that timm lists
    return config


def _address(config: PretrainedCfg) -> str | None:
    if config.hf_hub_id:
        hub = (os.environ.get(HUB_VARIABLE) or HUB).rstrip("/")
        return f"{hub}/{config.hf_hub_id}/resolve/main/{config.hf_hub_filename or 'model.safetensors'}"
    return config.url if isinstance(config.url, str) and config.url.endswith(".pth") else None


def _preprocessing(config: PretrainedCfg) -> Preprocessing:
    _, height, width = config.input_size
    resize = math.floor(min(height, width) / config.crop_pct) if config.crop_pct else None
    interpolation = config.interpolation if config.interpolation in RESAMPLING else "bilinear"
    return Preprocessing((height, width), resize, tuple(config.mean), tuple(config.std), interpolation)


def _labels(config: PretrainedCfg) -> str | tuple[str, ...]:
    if config.label_names and len(config.label_names) == config.num_classes:
        return tuple(config.label_names)
    if config.num_classes == 1000:
        return "imagenet"
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(config)
    info = ImageNetInfo(subset) if subset else None
    if info is None or info.num_classes() != config.num_classes:
        return tuple(f"class {i}" for i in range(config.num_classes))
    return tuple(info.index_to_description(i) for i in range(config.num_classes))


def _build(num_classes: int, name: str) -> nn.Module:
    import timm

    try:
        return timm.create_model(name, pretrained=False, num_classes=num_classes)
    except (RuntimeError, TypeError, ValueError, ImportError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"timm could not build {name} for {plural(num_classes, 'class')}: {reason}.") from error
