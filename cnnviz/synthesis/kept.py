"""Preferred inputs in a file: images and what is known of them, written whole and read again without unpickling."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.store import load_arrays, save_arrays
from cnnviz.synthesis.result import Mixture, PreferredInput
from cnnviz.synthesis.settings import SynthesisSettings

_KIND = "single preferred inputs"


def name_inputs(fingerprint: str, layer: str | None, mixtures: Sequence[Mixture], settings: SynthesisSettings) -> str:
    """A file's name of the network's fingerprint, the layer, what is maximised and the settings."""
    text = json.dumps([fingerprint, layer, mixtures, settings.as_dict()], sort_keys=True)
    return f"inputs-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def save_inputs(path: str | Path, found: Sequence[PreferredInput]) -> Path:
    """Write results of one call, without the record of an index beside them, into one .npz file, atomically.

    Raises BadInput for none at all."""
    if not found:
        raise BadInput("Expected at least one preferred input to save, got none.")
    arrays = {"images": np.stack([one.image for one in found]), "history": np.stack([one.history for one in found])}
    save_arrays(path, arrays, {"kind": _KIND, "inputs": [_describe(one) for one in found]})
    return Path(path)


def load_inputs(path: str | Path) -> list[PreferredInput]:
    """Read what `save_inputs` wrote. Raises BadInput for a file that is missing, damaged or of another kind."""
    arrays, meta = load_arrays(path)
    try:
        if meta["kind"] != _KIND:
            raise KeyError("kind")
        rows = zip(meta["inputs"], arrays["images"], arrays["history"], strict=True)
        return [_restore(known, image, history) for known, image, history in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} holds no preferred inputs ({error}). Delete it and compute them again.") from None


def _describe(one: PreferredInput) -> dict[str, Any]:
    return {
        "activation": one.activation,
        "layer": one.layer,
        "mixture": one.mixture,
        "unit": one.unit,
        "box": one.box,
        "model": one.model,
        "fingerprint": one.fingerprint,
        "settings": asdict(one.settings),
        "copy": one.copy,
        "stopped": one.stopped,
        "assumed": one.assumed,
    }


def _restore(known: dict[str, Any], image: np.ndarray, history: np.ndarray) -> PreferredInput:
    settings: dict[str, Any] = dict(known["settings"])
    settings["unit"] = tuple(settings["unit"]) if settings["unit"] else None
    row_col = known["unit"]
    top, left, bottom, right = known["box"]
    return PreferredInput(
        image=image,
        activation=known["activation"],
        history=history,
        layer=known["layer"],
        mixture=tuple((int(channel), float(weight)) for channel, weight in known["mixture"]),
        unit=None if row_col is None else (row_col[0], row_col[1]),
        box=(top, left, bottom, right),
        model=known["model"],
        fingerprint=known["fingerprint"],
        settings=SynthesisSettings(**settings),
        copy=known["copy"],
        stopped=known["stopped"],
        assumed=tuple(known["assumed"]),
    )
