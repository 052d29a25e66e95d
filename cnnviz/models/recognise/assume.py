"""What is assumed of a file that does not say how its images were prepared: one rule, for library and app."""

from __future__ import annotations

from dataclasses import replace

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.chains.chain import is_chain
from cnnviz.models.evidence import ASSUMED, Finding
from cnnviz.models.zoo.download import SCALED_INPUT

_ZOO_STD = (0.2023, 0.1994, 0.2010)  # the most copied CIFAR-10 training script: standard deviations within one image
HALF = "mean 0.5, std 0.5"
Norm = tuple[tuple[float, ...], tuple[float, ...]]  # mean, std
NORMS: dict[int, dict[str, Norm]] = {  # {channels: {how it is called: (mean, std)}}
    1: {
        "MNIST's mean and std": ((0.1307,), (0.3081,)),
        HALF: ((0.5,), (0.5,)),
        "pixels 0 to 1 as they are": ((0.0,), (1.0,)),
        "pixels 0 to 255 as they are": ((0.0,), (1 / 255,)),
    },
    3: {
        "ImageNet's mean and std": (IMAGENET_MEAN, IMAGENET_STD),
        "CIFAR-10's mean and std": (CIFAR_MEAN, CIFAR_STD),
        "CIFAR-10's mean, std 0.2": (CIFAR_MEAN, _ZOO_STD),
        HALF: ((0.5,) * 3, (0.5,) * 3),
        "pixels 0 to 1 as they are": ((0.0,) * 3, (1.0,) * 3),
        "pixels 0 to 255 as they are": ((0.0,) * 3, (1 / 255,) * 3),
    },
}
STANDARDISED = ("ImageNet's mean and std", "CIFAR-10's mean and std", "CIFAR-10's mean, std 0.2")  # alike in scale


def assume_preprocessing(entry: Architecture) -> tuple[Preprocessing, tuple[Finding, ...]]:
    """The preprocessing that the training scripts for this network commonly have, and that it is assumed."""
    if entry.family == "CIFAR ResNet":
        found = replace(entry.preprocessing, mean=IMAGENET_MEAN, std=IMAGENET_STD)
        text = "The file names no normalisation: ImageNet's mean and standard deviation were assumed."
    elif entry.name == "lenet_cifar":
        found = replace(entry.preprocessing, mean=(0.5,) * 3, std=(0.5,) * 3)
        text = "The file names no normalisation: mean and std 0.5, as in PyTorch's tutorial, were assumed."
    elif is_chain(entry.name):
        found = entry.preprocessing
        text = f"The file names no preprocessing: {name_norm(found)} was assumed."
    else:
        found = entry.preprocessing
        text = f"The file names no preprocessing: that of {entry.title} was assumed."
    findings = [Finding("normalisation", name_norm(found), ASSUMED, text)]
    if entry.name in SCALED_INPUT:
        text = "If it stems from torchvision's pretrained weights, mean and std are 0.5: say so in a side file."
        findings.append(Finding("normalisation", name_norm(found), ASSUMED, text))
    return found, tuple(findings)


def list_norms(entry: Architecture) -> dict[str, Preprocessing]:
    """{how it is called: preprocessing} that may have been used, what is assumed first."""
    assumed, _ = assume_preprocessing(entry)
    known = NORMS.get(assumed.channels, {})
    named = {name: replace(entry.preprocessing, mean=mean, std=std) for name, (mean, std) in known.items()}
    return {name_norm(assumed): assumed} | named


def name_norm(norm: Preprocessing) -> str:
    """How a normalisation is called, e.g. "MNIST's mean and std"."""
    known = NORMS.get(norm.channels, {}).items()
    usual = next((name for name, values in known if values == (norm.mean, norm.std)), None)
    return usual or f"mean {_write(norm.mean)}, std {_write(norm.std)}"


def _write(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in (values if len(set(values)) > 1 else values[:1]))
