"""Turn the names that HuggingFace's transformers gives the tensors of ResNet, MobileNet V1 and V2, ConvNeXt and RegNet
into those of torchvision and timm, which build the same networks.

Sources: the modules `modeling_*.py` of transformers for the names, those of torchvision.models for the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_EPS = 1e-3 - 1e-5  # of the batch norms of Google's MobileNets, beyond that of torchvision's and timm's
_REGNETS = {
    "x": """400mf 1,2,7,12 32,64,160,400; 800mf 1,3,7,5 64,128,288,672; 1_6gf 2,4,10,2 72,168,408,912;
        3_2gf 2,6,15,2 96,192,432,1008; 8gf 2,5,15,1 80,240,720,1920; 16gf 2,6,13,1 256,512,896,2048;
        32gf 2,7,13,1 336,672,1344,2520""",
    "y": """400mf 1,3,6,6 48,104,208,440; 800mf 1,3,8,2 64,144,320,784; 1_6gf 2,6,17,2 48,120,336,888;
        3_2gf 2,5,13,1 72,216,576,1512; 8gf 2,4,10,1 224,448,896,2016; 16gf 2,4,11,1 224,448,1232,3024;
        32gf 2,5,12,1 232,696,1392,3712; 128gf 2,7,17,1 528,1056,2904,7392""",
}  # name, blocks a stage, channels a stage
_RESNETS: dict[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}
_CONVNEXTS: dict[tuple[tuple[int, ...], int], str] = {
    ((3, 3, 9, 3), 96): "tiny",
    ((3, 3, 27, 3), 96): "small",
    ((3, 3, 27, 3), 128): "base",
    ((3, 3, 27, 3), 192): "large",
}
_V1_BLOCKS = (1, 2, 2, 6, 2)  # depthwise separable blocks at each width, in timm's MobileNet


@dataclass(frozen=True, slots=True)
class Renamed:
    """`tensors` under the names of the network `architecture`, None if it is of no known size. `warnings`: sentences
    on what differs from it."""

    tensors: dict[str, Tensor]
    architecture: str | None
    warnings: list[str] = field(default_factory=list)


def rename(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Renamed | None:
    """The tensors under torchvision's or timm's names; None if none of the five wrote them.

    `config`: what config.json says, as far as names and shapes do not tell it; may be empty."""
    for marker, convert in _CONVERTERS.items():
        if any(re.search(marker, key) for key in tensors):
            bare = {re.sub(r"^(resnet|regnet|convnext|mobilenet_v[12])\.", "", key): t for key, t in tensors.items()}
            return convert(bare, config)
    return None


def _apply(
    tensors: Mapping[str, Tensor], rules: Mapping[str, str | Callable[[re.Match[str]], str]]
) -> dict[str, Tensor]:
    """Every key by the first rule that fits its whole beginning; the others as they are."""
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        for pattern, new in rules.items():
            renamed, count = re.subn(f"^{pattern}", new, key)
            if count:
                key = renamed
                break
        found[key] = tensor
    return found


def _count(tensors: Mapping[str, Tensor], pattern: str) -> tuple[int, ...]:
    """Blocks a stage: `pattern` has the groups stage and block."""
    most: dict[int, int] = {}
    for found in filter(None, (re.match(pattern, key) for key in tensors)):
        most[int(found[1])] = max(most.get(int(found[1]), 0), int(found[2]) + 1)
    return tuple(most[stage] for stage in sorted(most))


def _next(place: str) -> int:
    return int(place) + 1


def _convert_resnet(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Renamed:
    block = r"encoder\.stages\.(\d+)\.layers\.(\d+)\."
    kind = "bottleneck" if any(".layer.2.convolution" in key for key in tensors) else "basic"
    name = _RESNETS.get((kind, _count(tensors, block)))
    if name and kind == "bottleneck" and config.get("downsample_in_bottleneck"):
        name += "_v1"  # the first 1×1 convolution has the stride
    found = _apply(
        tensors,
        {
            r"embedder\.embedder\.convolution\.": "conv1.",
            r"embedder\.embedder\.normalization\.": "bn1.",
            block + r"layer\.(\d)\.convolution\.": lambda m: f"layer{_next(m[1])}.{m[2]}.conv{_next(m[3])}.",
            block + r"layer\.(\d)\.normalization\.": lambda m: f"layer{_next(m[1])}.{m[2]}.bn{_next(m[3])}.",
            block + r"shortcut\.convolution\.": lambda m: f"layer{_next(m[1])}.{m[2]}.downsample.0.",
            block + r"shortcut\.normalization\.": lambda m: f"layer{_next(m[1])}.{m[2]}.downsample.1.",
            r"classifier\.1\.": "fc.",
        },
    )
    return Renamed(found, name)


def _convert_regnet(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Renamed:
    block = r"encoder\.stages\.(\d+)\.layers\.(\d+)\."
    gated = any(".attention." in key for key in tensors)
    letters = {"0": "a", "1": "b", "3" if gated else "2": "c"}

    def place(m: re.Match[str]) -> str:
        return f"trunk_output.block{_next(m[1])}.block{_next(m[1])}-{m[2]}."

    depths, sizes = _count(tensors, block), _REGNETS["y" if gated else "x"].split(";")
    first = "encoder.stages.{}.layers.0.layer.0.convolution.weight"
    widths = [tensors[first.format(i)].shape[0] for i in range(len(depths)) if first.format(i) in tensors]
    told = f"{','.join(map(str, depths))} {','.join(map(str, widths))}"
    size = next((line.split()[0] for line in sizes if " ".join(line.split()[1:]) == told), None)
    found = _apply(
        tensors,
        {
            r"embedder\.embedder\.convolution\.": "stem.0.",
            r"embedder\.embedder\.normalization\.": "stem.1.",
            block + r"layer\.(\d)\.convolution\.": lambda m: f"{place(m)}f.{letters.get(m[3], m[3])}.0.",
            block + r"layer\.(\d)\.normalization\.": lambda m: f"{place(m)}f.{letters.get(m[3], m[3])}.1.",
            block + r"layer\.2\.attention\.([02])\.": lambda m: f"{place(m)}f.se.fc{1 + int(m[3]) // 2}.",
            block + r"shortcut\.convolution\.": lambda m: f"{place(m)}proj.0.",
            block + r"shortcut\.normalization\.": lambda m: f"{place(m)}proj.1.",
            r"classifier\.1\.": "fc.",
        },
    )
    return Renamed(found, f"torchvision:regnet_{'y' if gated else 'x'}_{size}" if size else None)


def _convert_convnext(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Renamed:
    block = r"encoder\.stages\.(\d+)\.layers\.(\d+)\."
    parts = {"dwconv": "0", "layernorm": "2", "pwconv1": "3", "pwconv2": "5"}
    stem = tensors.get("embeddings.patch_embeddings.weight")
    size = _CONVNEXTS.get((_count(tensors, block), 0 if stem is None else stem.shape[0]))
    found = _apply(
        tensors,
        {
            r"embeddings\.patch_embeddings\.": "features.0.0.",
            r"embeddings\.layernorm\.": "features.0.1.",
            r"encoder\.stages\.(\d+)\.downsampling_layer\.([01])\.": lambda m: f"features.{2 * int(m[1])}.{m[2]}.",
            block + r"layer_scale_parameter": lambda m: f"features.{2 * int(m[1]) + 1}.{m[2]}.layer_scale",
            block + r"(\w+)\.": lambda m: f"features.{2 * int(m[1]) + 1}.{m[2]}.block.{parts.get(m[3], m[3])}.",
            r"layernorm\.": "classifier.0.",
            r"classifier\.(?=weight|bias)": "classifier.2.",
        },
    )
    scaled = {k: t[:, None, None] if k.endswith("layer_scale") and t.ndim == 1 else t for k, t in found.items()}
    return Renamed(scaled, f"torchvision:convnext_{size}" if size else None)


def _convert_mobilenet_v2(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Renamed:
    kinds = {"convolution": 0, "normalization": 1}

    def first(m: re.Match[str]) -> str:
        last = {"conv_3x3": f"0.{kinds[m[2]]}", "reduce_1x1": f"{1 + kinds[m[2]]}"}
        return f"features.1.conv.{last.get(m[1], m[1])}."

    def block(m: re.Match[str]) -> str:
        last = {"expand_1x1": f"0.{kinds[m[3]]}", "conv_3x3": f"1.{kinds[m[3]]}", "reduce_1x1": f"{2 + kinds[m[3]]}"}
        return f"features.{int(m[1]) + 2}.conv.{last.get(m[2], m[2])}."

    kind = r"\.(convolution|normalization)\."
    found = _apply(
        tensors,
        {
            r"conv_stem\.first_conv" + kind: lambda m: f"features.0.{kinds[m[1]]}.",
            r"conv_stem\.(\w+)" + kind: first,
            r"layer\.(\d+)\.(\w+)" + kind: block,
            r"conv_1x1" + kind: lambda m: f"features.18.{kinds[m[1]]}.",
            r"classifier\.(?=weight|bias)": "classifier.1.",
        },
    )
    return Renamed(_move_eps(found), "mobilenet_v2", _tell_padding(config))


def _convert_mobilenet_v1(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Renamed:
    places = [f"{stage}.{block}" for stage, count in enumerate(_V1_BLOCKS) for block in range(count)]
    has_timm = find_spec("timm") is not None

    def layer(m: re.Match[str]) -> str:
        number, point, norm = int(m[1]) // 2, int(m[1]) % 2, m[2] == "normalization"
        if has_timm and number < len(places):
            return f"blocks.{places[number]}.{f'bn{1 + point}' if norm else ('conv_dw', 'conv_pw')[point]}."
        return f"features.{1 + number}.{('depthwise', 'pointwise')[point]}.{int(norm)}."

    found = _apply(
        tensors,
        {
            r"conv_stem\.convolution\.": "conv_stem." if has_timm else "features.0.0.",
            r"conv_stem\.normalization\.": "bn1." if has_timm else "features.0.1.",
            r"layer\.(\d+)\.(convolution|normalization)\.": layer,
        },
    )
    warnings = _tell_padding(config)
    if not has_timm:
        warnings.append(
            "HuggingFace's MobileNet V1 limits its activations to 6 (ReLU6) and cnnviz's own does not: answers differ. "
            "With the package timm it is built as it is: pip install timm."
        )
    return Renamed(_move_eps(found), "timm:mobilenetv1_100" if has_timm else "mobilenet_v1", warnings)


def _move_eps(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With the larger ε of these batch norms in the variances, which √(variance + ε) can't tell from one another."""
    return {key: t + _EPS if key.endswith("running_var") else t for key, t in tensors.items()}


def _tell_padding(config: Mapping[str, Any]) -> list[str]:
    if not config.get("tf_padding", True):
        return []
    return [
        "HuggingFace's MobileNets pad as TensorFlow does, below and right of an image first, and the network here on "
        "all sides: answers differ a little."
    ]


def _convert_embedder(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Renamed:
    """ResNet and RegNet name their tensors alike; the stem has 7×7 filters or 3×3."""
    stem = tensors.get("embedder.embedder.convolution.weight")
    if config.get("model_type") == "regnet" or (stem is not None and stem.shape[-1] == 3):
        return _convert_regnet(tensors, config)
    return _convert_resnet(tensors, config)


_CONVERTERS: dict[str, Callable[[Mapping[str, Tensor], Mapping[str, Any]], Renamed]] = {
    r"(^|\.)embeddings\.patch_embeddings\.": _convert_convnext,
    r"(^|\.)conv_stem\.first_conv\.": _convert_mobilenet_v2,
    r"(^|\.)conv_stem\.convolution\.": _convert_mobilenet_v1,
    r"(^|\.)embedder\.embedder\.convolution\.": _convert_embedder,
}  # a name that none but these have → what renames them
