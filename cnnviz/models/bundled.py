"""The trained weights that come with cnnviz: assets/weights/<architecture>-<dataset>.safetensors."""

from __future__ import annotations

import os
from pathlib import Path

import cnnviz


def assets() -> Path:
    """The folder of bundled files: $CNNVIZ_ASSETS, else `assets` beside the package."""
    chosen = os.environ.get("CNNVIZ_ASSETS")
    return Path(chosen).expanduser() if chosen else Path(cnnviz.__file__).resolve().parents[1] / "assets"


def bundled() -> dict[str, Path]:
    """{architecture: weights file}, sorted; the first data set by name where there are several.

    Empty where cnnviz was installed without its assets. A file's recipe lies beside it as .json."""
    found: dict[str, Path] = {}
    for path in sorted((assets() / "weights").glob("*.safetensors")):
        found.setdefault(path.stem.partition("-")[0], path)
    return found
