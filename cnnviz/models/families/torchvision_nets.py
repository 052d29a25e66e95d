"""The networks that torchvision publishes, under torchvision's own names.

torchvision is imported only when one of them is built."""

from functools import partial
from typing import Any

from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add

_PRESET = Preprocessing((224, 224), resize=256)


def _build(num_classes: int, name: str, **options: Any) -> nn.Module:
    from cnnviz.torchvision_import import models

    return models.get_model(name, weights=None, num_classes=num_classes, **options)


def _add(name: str, title: str, family: str, enum: str, source: str, year: int, **extra: Any) -> None:
    preprocessing = extra.pop("preprocessing", _PRESET)
    add(
        Architecture(
            name=name,
            title=title,
            family=family,
            builder=partial(_build, name=name, **extra),
            preprocessing=preprocessing,
            classes=1000,
            labels="imagenet",
            source=f"torchvision; {source}",
            pretrained=f"{enum}_Weights.IMAGENET1K_V1",
            year=year,
        )
    )


_add("alexnet", "AlexNet", "AlexNet", "AlexNet", "Krizhevsky 2014, one weird trick", 2014)
for _depth in (11, 13, 16, 19):
    _source = "Simonyan and Zisserman, ICLR 2015"
    _add(f"vgg{_depth}", f"VGG-{_depth}", "VGG", f"VGG{_depth}", _source, 2014)
    _add(f"vgg{_depth}_bn", f"VGG-{_depth} with batch norm", "VGG", f"VGG{_depth}_BN", _source, 2014)
_add(
    "googlenet",
    "GoogLeNet",
    "Inception",
    "GoogLeNet",
    "Szegedy et al., CVPR 2015, with batch norm",
    2015,
    aux_logits=False,
    init_weights=False,
)
_add(
    "inception_v3",
    "Inception v3",
    "Inception",
    "Inception_V3",
    "Szegedy et al., CVPR 2016",
    2016,
    aux_logits=False,
    init_weights=False,
    preprocessing=Preprocessing((299, 299), resize=342),
)
for _depth in (18, 34, 50, 101, 152):
    _add(
        f"resnet{_depth}",
        f"ResNet-{_depth}",
        "ResNet",
        f"ResNet{_depth}",
        "He et al., CVPR 2016, v1.5 strides",
        2016,
    )
for _depth in (121, 169, 201):
    _source = "Huang et al., CVPR 2017"
    _add(f"densenet{_depth}", f"DenseNet-{_depth}", "DenseNet", f"DenseNet{_depth}", _source, 2017)
for _minor in (0, 1):
    _source = "Iandola et al. 2016"
    _add(f"squeezenet1_{_minor}", f"SqueezeNet 1.{_minor}", "SqueezeNet", f"SqueezeNet1_{_minor}", _source, 2016)
_add("mobilenet_v2", "MobileNet v2", "MobileNet", "MobileNet_V2", "Sandler et al., CVPR 2018", 2018)
for _width in ("small", "large"):
    _source = "Howard et al., ICCV 2019"
    _add(
        f"mobilenet_v3_{_width}",
        f"MobileNet v3 {_width}",
        "MobileNet",
        f"MobileNet_V3_{_width.title()}",
        _source,
        2019,
    )
