"""torchvision's trained weights: location, checksum, preprocessing and class names travel together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cnnviz.data.downloads import download, mirrored
from cnnviz.errors import BadCheckpoint, BadInput, Offline
from cnnviz.models.archives import intact
from cnnviz.models.checkpoints import Checkpoint, read_weights
from cnnviz.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

    from cnnviz.models.registry import Architecture

MIRROR = "CNNVIZ_WEIGHTS_MIRROR"  # base URL or folder that serves the files under their own names
_HASH = re.compile(r"-([0-9a-f]{8,})\.")
SCALED_INPUT = ("googlenet", "inception_v3")  # ported from TensorFlow: inputs are rescaled inside


def entry(architecture: Architecture) -> WeightsEnum:
    """torchvision's weights entry: `.url`, `.meta["categories"]`, `.transforms()`.

    Raises BadInput if nobody publishes weights for this architecture."""
    if architecture.pretrained is None:
        raise BadInput(
            f"There are no public pretrained weights for {architecture.name}. Use weights='random', "
            "'bundled', or the path of a file."
        )
    from torchvision.models import get_weight

    return get_weight(architecture.pretrained)


def preprocessing(weights: WeightsEnum) -> Preprocessing:
    """torchvision's evaluation preset for a weights entry."""
    preset = weights.transforms()
    side = preset.crop_size[0]
    return Preprocessing((side, side), preset.resize_size[0], tuple(preset.mean), tuple(preset.std))


def is_own_file(weights: WeightsEnum, sha256: str) -> bool:
    """True if a file with this sha256 is the one that torchvision publishes for the entry."""
    return sha256.startswith(expected_hash(weights.url) or "none")


def expected_hash(url: str) -> str | None:
    """First digits of the sha256, which torchvision writes into the file's name; None if there are none."""
    found = _HASH.search(urlsplit(url).path)
    return found[1] if found else None


def cache_path(url: str) -> Path:
    """Where a downloaded file is kept: torch's own cache, $TORCH_HOME/hub/checkpoints."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / urlsplit(url).path.rpartition("/")[2]


def fetch(url: str, progress: Callable[[int, int], None] | None = None) -> Checkpoint:
    """The weights behind `url`, from the cache or else downloaded, from $CNNVIZ_WEIGHTS_MIRROR if set.

    A download must have the sha256 that its name tells. A cached file is taken as it is if it has that
    sha256, or if it can be read and is undamaged: somebody put it there, which `warnings` says; otherwise
    it is downloaded again. `progress(bytes done, bytes in all)`. Raises Offline, with the place to put
    the file by hand, if it cannot be fetched, and BadInput if what came is another file."""
    target, wanted = cache_path(url), expected_hash(url)
    if (cached := _from_cache(target, wanted)) is not None:
        return cached
    source = mirrored(url, os.environ.get(MIRROR))
    try:
        return read_weights(download(source, target, sha256_prefix=wanted, progress=progress))
    except Offline as error:
        raise Offline(
            f"{error} Put the file {target.name} at {target}, or set {MIRROR}=http://host/folder to a server "
            "or a folder that has it."
        ) from error


def _from_cache(target: Path, wanted: str | None) -> Checkpoint | None:
    if not target.is_file():
        return None
    try:
        checkpoint = read_weights(target)
    except BadCheckpoint:
        return None
    if wanted and not checkpoint.sha256.startswith(wanted):
        if not intact(target):
            return None
        checkpoint.warnings.append(
            f"{target.name} in the cache is not the published file (sha256 {checkpoint.sha256[:8]}…, "
            f"published {wanted}…); it was used as it is. Delete it to download it again."
        )
    return checkpoint
