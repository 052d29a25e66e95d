"""ImageNet challenge results by year, and accuracy against size and cost, each with condition and source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class ChallengeResult:
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
class PublishedModel:
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


@dataclass(frozen=True, slots=True)
class RankedTeam:
    """A team of ILSVRC-2012. `error`: top-5 on the test set, a share, to the published digits; `deep`: a network."""

    team: str
    error: float
    method: str
    deep: bool


def ranking_2012() -> tuple[RankedTeam, ...]:
    """The four best teams of ILSVRC-2012's classification task, best entry of each.

    Source: ILSVRC-2012 results; Russakovsky et al., IJCV 2015 (arXiv:1409.0575), table 2."""
    return (
        RankedTeam("University of Toronto (SuperVision)", 0.15315, "AlexNet, seven networks, other data", True),
        RankedTeam("University of Tokyo (ISI)", 0.26172, "hand-made features, Fisher vectors", False),
        RankedTeam("University of Oxford (VGG)", 0.26979, "hand-made features, Fisher vectors", False),
        RankedTeam("Xerox and INRIA (XRCE)", 0.27058, "hand-made features, Fisher vectors", False),
    )


HUMAN = ChallengeResult(
    year=2014,
    name="Human",
    top5=5.1,
    kind="human",
    condition="one trained annotator, 1,500 test images; a second one had 12.0 on 258",
    source="Russakovsky et al., IJCV 2015, section 6.4",
)

# year | name | top-5 error | kind | condition; below it: source | layers | network in the catalogue
_TIMELINE = """
2010 | NEC-UIUC | 28.2 | before | test; hand-made features, linear classifier
    Russakovsky et al., IJCV 2015 | – | –
2011 | XRCE | 25.8 | before | test; hand-made features, Fisher vectors
    Russakovsky et al., IJCV 2015 | – | –
2012 | Tokyo (ISI) | 26.2 | before | test; hand-made features, second place
    ILSVRC-2012 results | – | –
2012 | AlexNet, 1 net | 18.2 | paper | validation; one network, ten crops
    Krizhevsky, Sutskever and Hinton, NIPS 2012, Table 2 | 8 | alexnet_2012
2012 | AlexNet, 5 nets | 16.4 | winner | test; five networks, no other data
    Krizhevsky, Sutskever and Hinton, NIPS 2012, Table 2 | 8 | alexnet_2012
2012 | AlexNet, 7 nets | 15.3 | winner | test; seven networks, two of them first trained on the 2011 release
    Krizhevsky, Sutskever and Hinton, NIPS 2012, Table 2 | 8 | alexnet_2012
2013 | ZF | 13.5 | entry | test; academic entry of Zeiler and Fergus, about
    ILSVRC-2013 results | 8 | –
2013 | Clarifai | 11.7 | winner | test; ensemble of Zeiler's company; its networks were never published
    ILSVRC-2013 results | 8 | –
2014 | VGG | 7.3 | entry | test; seven networks, second place
    Simonyan and Zisserman, ICLR 2015 | 19 | vgg19
2014 | VGG, 1 net | 7 | paper | test; one network, after the challenge
    Simonyan and Zisserman, ICLR 2015 | 19 | vgg19
2014 | GoogLeNet, 1 crop | 10.07 | paper | validation; one network, one crop
    Szegedy et al., CVPR 2015, Table 3 | 22 | googlenet_2014
2014 | GoogLeNet | 6.67 | winner | test; seven networks, 144 crops
    Szegedy et al., CVPR 2015 | 22 | googlenet_2014
2015 | ResNet | 3.57 | winner | test; six networks
    He et al., CVPR 2016 | 152 | resnet152_v1
2016 | Trimps-Soushen | 2.99 | winner | test; ensemble of several families
    ILSVRC-2016 results | – | –
2017 | SENet | 2.25 | winner | test; ensemble
    Hu, Shen and Sun, CVPR 2018 | – | –
"""


def _read_table(text: str) -> list[list[str]]:
    """The cells of a table in which each entry takes two lines, "–" for none."""
    lines = text.strip().splitlines()
    entries = (f"{first} | {second}" for first, second in zip(lines[::2], lines[1::2], strict=True))
    return [["" if cell.strip() == "–" else cell.strip() for cell in entry.split("|")] for entry in entries]


@lru_cache(maxsize=1)
def timeline() -> tuple[ChallengeResult, ...]:
    """Results of ILSVRC 2010 to 2017, top-5 error in percent, in the order of the years."""
    return tuple(
        ChallengeResult(int(year), name, float(top5), kind, condition, source, int(layers or 0), network)
        for year, name, top5, kind, condition, source, layers, network in _read_table(_TIMELINE)
    )


# networks that torchvision has not: name | family | top-1 error | parameters | multiply-adds, as published or built |
# network in the catalogue; below it: condition | source
_PUBLISHED = """
AlexNet (2012) | AlexNet | 40.7 | 60,965,224 | 724,406,816 | alexnet_2012
    one network, validation, ten crops | Krizhevsky, Sutskever and Hinton, NIPS 2012, Table 2
CaffeNet | AlexNet | 42.6 | 60,965,224 | 724,406,816 | caffenet
    validation, one crop | Caffe model zoo
ZFNet | AlexNet | 38.4 | 62,357,608 | 1,168,032,896 | zfnet
    one network, validation, several crops | Zeiler and Fergus, ECCV 2014, Table 2
ZFNet, wide | AlexNet | 37.5 | 107,627,624 | 2,476,704,896 | zfnet_b
    one network, validation, several crops | Zeiler and Fergus, ECCV 2014, Table 2
NIN | NIN | 40.64 | 7,595,176 | 1,100,188,800 | nin_imagenet
    validation, one crop | Caffe model zoo, NIN
VGG-16, D (paper) | VGG | 25.6 | 138,357,544 | 15,470,264,320 | vgg16
    validation, one scale, dense, jitter | Simonyan and Zisserman, ICLR 2015, Table 3
VGG-16, C (paper) | VGG | 27.3 | 133,638,952 | 11,770,888,192 | vgg16_c
    validation, one scale, dense, jitter | Simonyan and Zisserman, ICLR 2015, Table 3
GoogLeNet (LRN) | Inception | 31.3 | 6,998,552 | 1,582,671,872 | googlenet_2014
    validation, one crop, Caffe's own training | Caffe model zoo, bvlc_googlenet
BN-Inception | Inception | 25.2 | 11,194,984 | 2,018,851,840 | bn_inception
    validation, one crop | Ioffe and Szegedy, ICML 2015
plain-18 | Plain | 27.94 | 11,515,688 | 1,794,805,760 | plain18
    validation, ten crops | He et al., CVPR 2016, Table 2
plain-34 | Plain | 28.54 | 21,623,848 | 3,644,493,824 | plain34
    validation, ten crops | He et al., CVPR 2016, Table 2
ResNet-34 A | ResNet | 25.03 | 21,623,848 | 3,644,493,824 | resnet34_a
    validation, ten crops | He et al., CVPR 2016, Table 3
ResNet-34 C | ResNet | 24.19 | 22,716,840 | 3,830,747,136 | resnet34_c
    validation, ten crops | He et al., CVPR 2016, Table 3
ResNet-50 v1 | ResNet | 24.7 | 25,557,032 | 3,857,973,248 | resnet50_v1
    validation, one crop | He et al., released models
ResNet-101 v1 | ResNet | 23.6 | 44,549,160 | 7,570,194,432 | resnet101_v1
    validation, one crop | He et al., released models
ResNet-152 v1 | ResNet | 23 | 60,192,808 | 11,282,415,616 | resnet152_v1
    validation, one crop | He et al., released models
DenseNet-264 | DenseNet | 22.15 | 33,337,704 | 5,751,653,376 | densenet264
    validation, one crop | Huang et al., CVPR 2017, Table 3
MobileNet v1 | MobileNet | 29.4 | 4,231,976 | 568,740,352 | mobilenet_v1
    validation, one crop | Howard et al. 2017
"""
_FAMILIES = {  # start of torchvision's name: family in the chart
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "googlenet": "Inception",
    "inception": "Inception",
    "resnet": "ResNet",
    "resnext": "ResNet",
    "wide_resnet": "ResNet",
    "densenet": "DenseNet",
    "squeezenet": "SqueezeNet",
    "mobilenet": "MobileNet",
}
OTHERS = "later networks"


def published_models() -> list[PublishedModel]:
    """Networks of the catalogue with figures from their papers or releases, where torchvision has none."""
    return [
        PublishedModel(
            name,
            family,
            round(100 - float(error), 2),
            _read_count(parameters),
            float(_read_count(macs)),
            condition,
            source,
            network,
        )
        for name, family, error, parameters, macs, network, condition, source in _read_table(_PUBLISHED)
    ]


def _read_count(text: str) -> int:
    """1234567 for "1,234,567"."""
    return int(text.replace(",", ""))


@lru_cache(maxsize=2)
def torchvision_models(newest: bool = False) -> tuple[PublishedModel, ...]:
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
            PublishedModel(
                name=name,
                family=family,
                top1=scores["acc@1"],
                parameters=weights.meta["num_params"],
                macs=weights.meta["_ops"] * 1e9,
                condition=f"validation, one crop of {size}×{size}, {weights.name}",
                source=f"torchvision {version}",
                network=name if name in known else "",
            )
        )
    return tuple(made)


def find_correction(network: str) -> str:
    """What the tables of lecture slides often get wrong about a network, with the value that holds; else ""."""
    return _CORRECTIONS.get(network, "")


_CNN_FMS = "“AlexNet 17 %” beside it in slides is the error on ILSVRC-2010; on 2012, as here, one AlexNet has 18.2 %."
_CORRECTIONS = {
    "alexnet_2012": "As the lecture notes count, it has 813,859 neurons: 154,587 values of the 227×227×3 input and "
    "659,272 of the eight layers; the paper's 650,000 belong to 224 pixels. It was trained on two GTX 580 with 3 GB "
    "each, not 2 GB. “17 %” is its top-5 error on ILSVRC-2010; on 2012 one network has 18.2 %.",
    "nin_imagenet": "“39.2 %” against AlexNet's 40.7 % compares several views with ten crops; NIN's centre crop has "
    "40.64 %. It has 7.6 M parameters, not 7.5 M.",
    "cnn_f": _CNN_FMS,
    "cnn_m": _CNN_FMS,
    "cnn_s": _CNN_FMS,
    "stochastic_depth110": "With p_L = 0.5 a training step keeps 40.25 of the 54 residual blocks on average, "
    "(3L − 1) / 4. Each survives with another probability, from 0.99 of the first down to 0.5 of the last.",
    "vgg16": "The maps of VGG-16 hold 15,237,608 values (input, convolutions, pools, linear layers): 60.95 MB as "
    "float32. The often quoted “24 M values, 96 MB” is not what the table sums to.",
    "googlenet_2014": "The network without its auxiliary heads has 6,998,552 parameters: 8.7 times fewer than "
    "AlexNet's 60,965,224 and 19.8 times fewer than VGG-16's, not 12 and 27 times. "
    "In the paper's table conv1 has 2.7K parameters and 34M operations; 64 kernels of 7×7×3 are 9,408 weights and "
    "118,013,952 multiply-adds.",
    "reduced_inception": "The reduced module takes 271,351,808 multiplications. “358 M” counts the 3×3 branch twice.",
    "resnet1202_cifar": "ResNet-1202 has 19,421,274 parameters. “10.2 M” belongs to the pre-activation ResNet-1001.",
    "stochastic_depth1202": "It has ResNet-1202's 19,421,274 parameters, not 10.2 M.",
    "fractalnet_c3b5": "Built as published it has 33,724,618 parameters; the quoted 38.6 M cannot be reproduced.",
    "densenet264": "The published block counts (6, 12, 64, 48) give 265 layers with weights, not 264.",
}
