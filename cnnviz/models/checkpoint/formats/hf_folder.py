"""What lies in a folder that HuggingFace's libraries saved: weights in one file or in shards, and what config.json and
preprocessor_config.json say of classes, input and normalisation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cnnviz.errors import BadCheckpoint
from cnnviz.wording import plural

SETTINGS = ("config.json", "preprocessor_config.json")
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")  # which shard holds which tensor
MODELS = ("model.safetensors", INDEXES[0], "pytorch_model.bin", INDEXES[1])  # the first that is there is read
_OTHERS = {"tf_model.h5": "TensorFlow", "flax_model.msgpack": "Flax", "rust_model.ot": "Rust"}
_BYTES = 2**24  # of a settings file
_SHARDS = 1_000
_RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # numbers of Pillow


def find_model(names: Iterable[str]) -> str | None:
    """Which of a folder's files holds the weights, or lists the shards; None if none does."""
    there = set(names)
    return next((name for name in MODELS if name in there), None)


def list_parts(folder: Path) -> list[Path]:
    """The files that hold the weights of a HuggingFace folder; [] if it is none.

    Raises BadCheckpoint for an index that leads elsewhere or names what is not there, and for weights of another
    framework alone."""
    names = {path.name for path in folder.iterdir()}
    model = find_model(names)
    if model is None:
        if "config.json" in names and (other := next(filter(names.__contains__, _OTHERS), None)):
            raise BadCheckpoint(
                f"{folder.name} holds weights of {_OTHERS[other]} alone ({other}). Load the model with transformers, "
                "from_tf=True or from_flax=True, and save it again, which writes model.safetensors."
            )
        return []
    if model not in INDEXES:
        return [folder / model]
    places = read_json(folder / model).get("weight_map")
    shards = list(dict.fromkeys(places.values())) if isinstance(places, dict) else []
    plain = all(isinstance(name, str) and name == Path(name).name and "\\" not in name for name in shards)
    if not shards or not plain or len(shards) > _SHARDS:
        raise BadCheckpoint(f"{folder.name}: {model} lists no files of its own folder. Download the folder again.")
    if missing := [name for name in shards if name not in names]:
        raise BadCheckpoint(
            f"{folder.name}: {model} names {plural(len(shards), 'file')}, and {missing[0][:80]} is not there. "
            "Download it, too."
        )
    return [folder / name for name in shards]


def read_json(path: Path) -> dict[str, Any]:
    """A settings file; {} if it is not there, too large or no JSON object."""
    try:
        if path.stat().st_size > _BYTES:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_metadata(config: Mapping[str, Any], processor: Mapping[str, Any]) -> dict[str, Any]:
    """`architecture` (of timm's files), `classes` and `preprocessing`, as far as the two files say them."""
    found: dict[str, Any] = {}
    labels = config.get("id2label")
    if isinstance(labels, dict) and sorted(labels) == sorted(map(str, range(len(labels)))):
        found["classes"] = [str(labels[str(place)]) for place in range(len(labels))]
    timm = config.get("pretrained_cfg")
    if isinstance(config.get("architecture"), str):
        found["architecture"] = f"timm:{config['architecture']}"
    if isinstance(timm, dict):
        found |= _read_timm(timm | {"label_names": config.get("label_names")})
    elif processor:
        found |= _read_processor(processor)
    return found


def _read_timm(config: Mapping[str, Any]) -> dict[str, Any]:
    """timm keeps all in config.json."""
    found: dict[str, Any] = {}
    names = config.get("label_names")
    if isinstance(names, list) and names:
        found["classes"] = [str(name) for name in names]
    said = {key: config[key] for key in ("mean", "std") if _are_numbers(config.get(key))}
    size: Any = config.get("input_size")
    crop = config.get("crop_pct")
    if _are_numbers(size) and len(size) == 3:
        said["size"] = [int(size[1]), int(size[2])]
        if isinstance(crop, int | float) and crop > 0:
            said["resize"] = math.floor(min(said["size"]) / crop)
    if config.get("interpolation") in _RESAMPLING.values():
        said["interpolation"] = config["interpolation"]
    return found | ({"preprocessing": said} if said else {})


def _read_processor(said: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if said.get("do_normalize", True):
        found |= {new: said[old] for old, new in (("image_mean", "mean"), ("image_std", "std")) if old in said}
        if not all(map(_are_numbers, found.values())):
            found = {}
    else:
        channels = len(said.get("image_mean") or (0, 0, 0))
        found |= {"mean": [0.0] * channels, "std": [1.0] * channels}
    side = _read_size(said.get("size"))
    crop = _read_size(said.get("crop_size")) if said.get("do_center_crop") else None
    share = said.get("crop_pct")
    if side and crop:
        found |= {"size": list(crop), "resize": min(side)}
    elif side and isinstance(share, int | float) and 0 < share <= 1 and min(side) < 384:
        found |= {"size": list(side), "resize": int(min(side) / share)}  # ConvNeXt's: the share that is kept
    elif side:
        found |= {"size": list(side), "resize": None}
    if _RESAMPLING.get(said.get("resample", -1)) in ("bilinear", "bicubic"):
        found["interpolation"] = _RESAMPLING[said["resample"]]
    return {"preprocessing": found} if found else {}


def _read_size(size: Any) -> tuple[int, int] | None:
    """(height, width) of 224, {"height": 224, "width": 224} or {"shortest_edge": 224}."""
    sides: list[Any]
    if isinstance(size, dict):
        sides = [size.get("height", size.get("shortest_edge")), size.get("width", size.get("shortest_edge"))]
    else:
        sides = list(size) if isinstance(size, list) and len(size) == 2 else [size, size]
    return (sides[0], sides[1]) if all(isinstance(side, int) and side > 0 for side in sides) else None


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(v, int | float) for v in value)
