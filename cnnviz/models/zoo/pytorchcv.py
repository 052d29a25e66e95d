"""pytorchcv's image classifiers: `pytorchcv:NAME`, on ImageNet, CIFAR, SVHN and CUB-200.

pytorchcv loads its files with unpickling; here only its table of addresses and checksums is used."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.data.class_names import class_names
from cnnviz.data.preprocessing import CIFAR_MEAN, Preprocessing
from cnnviz.errors import BadInput, CnnvizError, unknown
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.zoo.public_weights import PublicWeights
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import nn

RELEASES = "https://github.com/osmr/imgclsmob/releases/download"
CIFAR_STD = (0.2023, 0.1994, 0.2010)  # as pytorchcv's own evaluation, on SVHN too
LICENCE = (
    "pytorchcv: MIT. The weights were trained on public sets whose terms may allow non-commercial research and "
    "teaching alone."
)
_SPEECH, _ANIMATION = "recognises speech", "animates faces"
_OTHER = {
    **dict.fromkeys(("cs", "voc", "ade20k", "cocoseg", "cityscapes"), "labels every pixel"),
    "coco": "finds objects",
    "widerface": "finds faces",
    "cocohpe": "finds the joints of people",
    "mcv": _SPEECH,
}  # data set → what a network does on it, where it does not classify
_BEGINNINGS = {
    **dict.fromkeys(("jasper", "quartznet"), _SPEECH),
    "raft": "compares two images",
    "propainter": "repairs films",
    "prnet": "finds the shape of a face",
    "pfpcnet": "finds points of a face",
    **dict.fromkeys(("visemenet", "voca", "nvpattexp"), _ANIMATION),
    "superpointnet": "finds points to follow",
    "ntsnet": "answers with several parts at once",
}  # for those whose table names no data set
_SETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "svhn": "SVHN", "cub": "CUB-200-2011", "": "ImageNet-1K"}
_NOT_BC = re.compile(r"densenet\d+_k\d+_(cifar|svhn)")
DENSENET = (
    "Not the paper's network: pytorchcv halves the channels in the transitions also where the paper, without -BC, "
    "keeps them (L=40, k=12: 599,050 parameters for 1,019,722)."
)


def names() -> list[str]:
    """The networks that, by name and table, classify images, sorted."""
    return sorted(name for name in _builders() if _other_task(name) is None)


def architecture(rest: str) -> Architecture:
    """The entry of pytorchcv:`rest`. Raises UnknownName with the closest names, BadInput for what is no image
    classifier: it is built without memory and run on one image to find out."""
    if rest not in _builders():
        unknown("pytorchcv network", rest, _builders())
    task = _other_task(rest)
    size, classes = _input_and_classes(rest) if task is None else ((0, 0), 0)
    if not classes:
        raise BadInput(
            f"pytorchcv:{rest} {task or 'does something else'}: it is no image classifier with input (N, 3, H, W), "
            "which is what cnnviz looks at. List those: `cnnviz list pytorchcv`."
        )
    row = _table().get(rest, {})
    paper = row.get("arxiv_paper", "NA")
    return Architecture(
        name=f"pytorchcv:{rest}",
        title=f"{rest} (pytorchcv)",
        family="pytorchcv",
        builder=partial(_build, name=rest),
        preprocessing=_preprocessing(rest, size),
        classes=classes,
        labels=_labels(rest, classes),
        source="pytorchcv" + (f"; arXiv:{paper}" if paper != "NA" else ""),
        pretrained=f"pytorchcv:{rest}" if _published(row) else None,
        note=DENSENET if _NOT_BC.match(rest) else "",
    )


def weights(key: str) -> PublicWeights:
    """The public weights pytorchcv:`key`; their error is top-5 on ImageNet and top-1 elsewhere."""
    row = _table()[key]
    size, classes = _input_and_classes(key)
    file = f"{key}-{row['error_value']}-{row['checksum'][:8]}.pth.zip"
    top = "acc@1" if _data_set(key) else "acc@5"
    return PublicWeights(
        name=f"pytorchcv:{key}",
        source="pytorchcv",
        url=f"{RELEASES}/{row['repo_release_tag']}/{file}",
        preprocessing=_preprocessing(key, size),
        meta={
            "categories": class_names(_labels(key, classes), classes),
            "_metrics": {_SETS[_data_set(key)]: {top: round(100 - int(row["error_value"]) / 100, 2)}},
        },
        licence=LICENCE,
        condition=f"one network, one crop of {plural(size[0], 'pixel')}, test or validation set, as told by pytorchcv",
        size_bytes=4 * int(row["net_weights"]) if row["net_weights"].isdigit() else 0,
        note=DENSENET if _NOT_BC.match(key) else "",
    )


def _published(row: dict[str, str]) -> bool:
    return all(row.get(key, "NA") != "NA" for key in ("error_value", "checksum", "repo_release_tag"))


@cache
def _builders() -> dict[str, Callable[..., nn.Module]]:
    return import_module("pytorchcv.model_provider")._models


@cache
def _table() -> dict[str, dict[str, str]]:
    """pytorchcv's list of networks with its columns as text: {name: {column: value}}."""
    spec = find_spec("pytorchcv")
    assert spec is not None and spec.origin is not None  # the zoo is asked only where it is installed
    home = Path(spec.origin).parent
    try:
        with (home / "models/common/model_metainfos.csv").open(encoding="utf-8", newline="") as file:
            rows = {row["model_name"]: row for row in csv.DictReader(file)}
        needed = {"net_weights", "error_value", "checksum", "repo_release_tag", "test_dataset", "img_scale"}
        missing = needed - next(iter(rows.values())).keys()
    except (OSError, KeyError, StopIteration, csv.Error) as error:
        raise CnnvizError(f"This pytorchcv has no table of networks ({error}). Install pytorchcv 0.0.74.") from error
    if missing:
        raise CnnvizError(f"pytorchcv's table lacks {', '.join(sorted(missing))}. Install pytorchcv 0.0.74.")
    return rows


def _data_set(name: str) -> str:
    """The data set by the name's ending; "" is ImageNet."""
    ending = name.rpartition("_")[2]
    return ending if ending in _SETS else ""


def _other_task(name: str) -> str | None:
    data = _table().get(name, {}).get("test_dataset", "NA")
    begins = next((task for start, task in _BEGINNINGS.items() if name.startswith(start)), None)
    return _OTHER.get(data) or _OTHER.get(name.rpartition("_")[2]) or begins


def _labels(name: str, classes: int) -> str | tuple[str, ...]:
    data = _data_set(name) or "imagenet"
    return data if data != "cub" else tuple(f"bird species {i + 1}" for i in range(classes))


def _preprocessing(name: str, size: tuple[int, int]) -> Preprocessing:
    if _data_set(name) in ("cifar10", "cifar100", "svhn"):
        return Preprocessing(size, None, CIFAR_MEAN, CIFAR_STD)
    scale = _table().get(name, {}).get("img_scale", "NA")
    return Preprocessing(size, math.ceil(size[0] / (0.875 if scale == "NA" else float(scale))))


@cache
def _input_and_classes(name: str) -> tuple[tuple[int, int], int]:
    """((H, W), classes) of the network; 0 classes if it does not answer one image with one score a class."""
    import torch

    for device in ("meta", "cpu"):  # a few compute with values, which there are none of without memory
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
                net: Any = _builders()[name]().eval()
                size, classes = tuple(net.in_size), int(net.num_classes)
                answer = net(torch.zeros(1, 3, *size))
        except (AttributeError, ImportError, TypeError):
            break
        except Exception:
            continue
        if isinstance(answer, torch.Tensor) and tuple(answer.shape) == (1, classes):
            return size, classes
        break
    return (0, 0), 0


def _build(num_classes: int, name: str) -> nn.Module:
    """Many of the networks insist on their number of classes: these get another last layer."""
    from torch import nn

    builder: Any = _builders()[name]
    try:
        return builder(num_classes=num_classes)
    except AssertionError:
        module = builder()
    last = getattr(module, "output", None)
    if not isinstance(last, nn.Linear):
        raise BadInput(
            f"pytorchcv:{name} can only be built with {plural(module.num_classes, 'class')}, not {num_classes}."
        )
    module.output = nn.Linear(last.in_features, num_classes, bias=last.bias is not None)
    module.num_classes = num_classes
    return module
