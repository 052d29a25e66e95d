"""Facts of history: the ImageNet challenge year by year, and accuracy against size and cost. No figure stands
without its condition and its source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Result:
    """One result of the ImageNet classification challenge (ILSVRC, 1,000 classes).

    `top5`: error, percent. `kind`: "before" (no deep network), "winner", "entry" (a ranked entry that did
    not win) or "paper" (published beside the challenge). `layers`: layers with weights, 0 for none.
    `network`: its name in the catalogue, "" if cnnviz has not exactly this."""

    year: int
    name: str
    top5: float
    kind: str
    condition: str
    source: str
    layers: int = 0
    network: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """One network in the accuracy–size–cost chart. `top1`: accuracy on ImageNet-1K validation, percent;
    `parameters`: number; `macs`: multiply-adds of one image; `network`: its name in the catalogue or ""."""

    name: str
    family: str
    top1: float
    parameters: int
    macs: float
    condition: str
    source: str
    network: str = ""


HUMAN = Result(
    2014, "Human", 5.1, "human", "one trained annotator, 1,500 test images; a second one had 12.0 on 258",
    "Russakovsky et al., IJCV 2015, section 6.4",
)  # fmt: skip

_ILSVRC = "Russakovsky et al., IJCV 2015"
_ALEX = "Krizhevsky, Sutskever and Hinton, NIPS 2012, Table 2"
_VGG = "Simonyan and Zisserman, ICLR 2015"
_TIMELINE = (
    Result(2010, "NEC-UIUC", 28.2, "before", "test; hand-made features, linear classifier", _ILSVRC),
    Result(2011, "XRCE", 25.8, "before", "test; hand-made features, Fisher vectors", _ILSVRC),
    Result(2012, "Tokyo (ISI)", 26.2, "before", "test; hand-made features, second place", "ILSVRC-2012 results"),
    Result(2012, "AlexNet, 1 net", 18.2, "paper", "validation; one network, ten crops", _ALEX, 8, "alexnet_2012"),
    Result(2012, "AlexNet, 5 nets", 16.4, "winner", "test; five networks, no other data", _ALEX, 8, "alexnet_2012"),
    Result(2012, "AlexNet, 7 nets", 15.3, "winner",
           "test; seven networks, two of them first trained on the 2011 release", _ALEX, 8, "alexnet_2012"),
    Result(2013, "ZF", 13.5, "entry", "test; academic entry of Zeiler and Fergus, about", "ILSVRC-2013 results", 8),
    Result(2013, "Clarifai", 11.7, "winner",
           "test; ensemble of Zeiler's company; its networks were never published", "ILSVRC-2013 results", 8),
    Result(2014, "VGG", 7.3, "entry", "test; seven networks, second place", _VGG, 19, "vgg19"),
    Result(2014, "VGG, 1 net", 7.0, "paper", "test; one network, after the challenge", _VGG, 19, "vgg19"),
    Result(2014, "GoogLeNet, 1 crop", 10.07, "paper", "validation; one network, one crop",
           "Szegedy et al., CVPR 2015, Table 3", 22, "googlenet_2014"),
    Result(2014, "GoogLeNet", 6.67, "winner", "test; seven networks, 144 crops",
           "Szegedy et al., CVPR 2015", 22, "googlenet_2014"),
    Result(2015, "ResNet", 3.57, "winner", "test; six networks", "He et al., CVPR 2016", 152, "resnet152_v1"),
    Result(2016, "Trimps-Soushen", 2.99, "winner", "test; ensemble of several families", "ILSVRC-2016 results"),
    Result(2017, "SENet", 2.25, "winner", "test; ensemble", "Hu, Shen and Sun, CVPR 2018"),
)  # fmt: skip


def timeline() -> tuple[Result, ...]:
    """Results of ILSVRC 2010 to 2017, top-5 error in percent, in the order of the years."""
    return _TIMELINE


_CROP, _TEN = "validation, one crop", "validation, ten crops"
_PUBLISHED = (  # networks that torchvision has not: error, parameters, multiply-adds as published or built
    ("AlexNet (2012)", "AlexNet", 40.7, 60_965_224, 724_406_816, "one network, validation, ten crops",
     _ALEX, "alexnet_2012"),
    ("CaffeNet", "AlexNet", 42.6, 60_965_224, 724_406_816, _CROP, "Caffe model zoo", "caffenet"),
    ("ZFNet", "AlexNet", 38.4, 62_357_608, 1_168_032_896, "one network, validation, several crops",
     "Zeiler and Fergus, ECCV 2014, Table 2", "zfnet"),
    ("ZFNet, wide", "AlexNet", 37.5, 107_627_624, 2_476_704_896, "one network, validation, several crops",
     "Zeiler and Fergus, ECCV 2014, Table 2", "zfnet_b"),
    ("NIN", "NIN", 40.64, 7_595_176, 1_100_188_800, _CROP, "Caffe model zoo, NIN", "nin_imagenet"),
    ("VGG-16, D (paper)", "VGG", 25.6, 138_357_544, 15_470_264_320, "validation, one scale, dense, jitter",
     f"{_VGG}, Table 3", "vgg16"),
    ("VGG-16, C (paper)", "VGG", 27.3, 133_638_952, 11_770_888_192, "validation, one scale, dense, jitter",
     f"{_VGG}, Table 3", "vgg16_c"),
    ("GoogLeNet (LRN)", "Inception", 31.3, 6_998_552, 1_582_671_872, f"{_CROP}, Caffe's own training",
     "Caffe model zoo, bvlc_googlenet", "googlenet_2014"),
    ("BN-Inception", "Inception", 25.2, 11_194_984, 2_018_851_840, _CROP, "Ioffe and Szegedy, ICML 2015",
     "bn_inception"),
    ("plain-18", "Plain", 27.94, 11_515_688, 1_794_805_760, _TEN, "He et al., CVPR 2016, Table 2", "plain18"),
    ("plain-34", "Plain", 28.54, 21_623_848, 3_644_493_824, _TEN, "He et al., CVPR 2016, Table 2", "plain34"),
    ("ResNet-34 A", "ResNet", 25.03, 21_623_848, 3_644_493_824, _TEN, "He et al., CVPR 2016, Table 3", "resnet34_a"),
    ("ResNet-34 C", "ResNet", 24.19, 22_716_840, 3_830_747_136, _TEN, "He et al., CVPR 2016, Table 3", "resnet34_c"),
    ("ResNet-50 v1", "ResNet", 24.7, 25_557_032, 3_857_973_248, _CROP, "He et al., released models", "resnet50_v1"),
    ("ResNet-101 v1", "ResNet", 23.6, 44_549_160, 7_570_194_432, _CROP, "He et al., released models", "resnet101_v1"),
    ("ResNet-152 v1", "ResNet", 23.0, 60_192_808, 11_282_415_616, _CROP, "He et al., released models", "resnet152_v1"),
    ("DenseNet-264", "DenseNet", 22.15, 33_337_704, 5_751_653_376, _CROP, "Huang et al., CVPR 2017, Table 3",
     "densenet264"),
    ("MobileNet v1", "MobileNet", 29.4, 4_231_976, 568_740_352, _CROP, "Howard et al. 2017", "mobilenet_v1"),
)  # fmt: skip
_FAMILIES = {  # start of torchvision's name: family in the chart
    "alexnet": "AlexNet", "vgg": "VGG", "googlenet": "Inception", "inception": "Inception", "resnet": "ResNet",
    "resnext": "ResNet", "wide_resnet": "ResNet", "densenet": "DenseNet", "squeezenet": "SqueezeNet",
    "mobilenet": "MobileNet",
}  # fmt: skip
OTHERS = "later networks"


def published_models() -> list[Model]:
    """Networks of the catalogue with figures from their papers or releases, where torchvision has none."""
    return [
        Model(name, family, round(100 - error, 2), parameters, float(macs), condition, source, network)
        for name, family, error, parameters, macs, condition, source, network in _PUBLISHED
    ]


@lru_cache(maxsize=2)
def torchvision_models(newest: bool = False) -> tuple[Model, ...]:
    """What torchvision says of its own weights; nothing is downloaded.

    `newest`: the weights it recommends today, else the first ones it published (IMAGENET1K_V1). Accuracy is
    of its centre crop. Source: the metadata of torchvision's weight enums."""
    from cnnviz.models.catalogue.registry import architectures
    from cnnviz.torchvision_import import models, version

    known, made = set(architectures()), []
    for name in models.list_models(module=models):
        enum = models.get_model_weights(name)
        weights = enum.DEFAULT if newest else getattr(enum, "IMAGENET1K_V1", None)
        scores = weights.meta.get("_metrics", {}).get("ImageNet-1K", {}) if weights is not None else {}
        if weights is None or not scores.get("acc@1", 0) > 0:
            continue
        size = weights.transforms().crop_size[0]
        family = next((text for start, text in _FAMILIES.items() if name.startswith(start)), OTHERS)
        made.append(
            Model(
                name, family, scores["acc@1"], weights.meta["num_params"], weights.meta["_ops"] * 1e9,
                f"validation, one crop of {size}×{size}, {weights.name}", f"torchvision {version}",
                name if name in known else "",
            )
        )  # fmt: skip
    return tuple(made)


def correction(network: str) -> str:
    """What the tables of lecture slides often get wrong about a network, with the value that holds; else ""."""
    return _CORRECTIONS.get(network, "")


_CORRECTIONS = {
    "vgg16": "The maps of VGG-16 hold 15,237,608 values (input, convolutions, pools, linear layers): 60.95 MB as "
    "float32. The often quoted “24 M values, 96 MB” is not what the table sums to.",
    "googlenet_2014": "The network without its auxiliary heads has 6,998,552 parameters: 8.7 times fewer than "
    "AlexNet's 60,965,224 and 19.8 times fewer than VGG-16's, not 12 and 27 times.",
    "reduced_inception": "The reduced module takes 271,351,808 multiplications. “358 M” counts the 3×3 branch twice.",
    "resnet1202_cifar": "ResNet-1202 has 19,421,274 parameters. “10.2 M” belongs to the pre-activation ResNet-1001.",
    "stochastic_depth1202": "It has ResNet-1202's 19,421,274 parameters, not 10.2 M.",
    "fractalnet_c3b5": "Built as published it has 33,724,618 parameters; the quoted 38.6 M cannot be reproduced.",
    "densenet264": "The published block counts (6, 12, 64, 48) give 265 layers with weights, not 264.",
}
