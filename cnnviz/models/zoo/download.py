"""Download public trained weights: fetched once, checksum compared, kept in torch's cache."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cnnviz.data.public.download import download, first_headers, mirror_url
from cnnviz.errors import BadCheckpoint, BadInput, Offline
from cnnviz.models.checkpoint.archive import is_intact
from cnnviz.models.checkpoint.read import Checkpoint, read_weights
from cnnviz.models.zoo import torchvision, zoos
from cnnviz.models.zoo.public_weights import PublicWeights
from cnnviz.models.zoo.zipped import unpack
from cnnviz.paths import user_folder

if TYPE_CHECKING:
    from cnnviz.models.catalogue.architecture import Architecture

Progress = Callable[[int, int], None]
MIRROR = "CNNVIZ_WEIGHTS_MIRROR"  # base URL or folder that serves the files under their own names
_HASH = re.compile(r"-([0-9a-f]{8,})\.")
_HUB_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/[^/]+/[^/]+?(\.[a-z]+)$")
SCALED_INPUT = tuple(
    f"{prefix}{name}{tag}"
    for name in ("googlenet", "inception_v3")
    for prefix, tag in (("", ""), ("torchvision:", ""), ("torchvision:", ".IMAGENET1K_V1"))
)  # ported from TensorFlow: inputs are rescaled inside


@dataclass(frozen=True, slots=True)
class FetchedWeights:
    """A public file on this disk. `fresh`: it was downloaded just now. `checksum`: what was compared, a phrase."""

    path: Path
    checkpoint: Checkpoint
    fresh: bool
    checksum: str


def find_weights(architecture: Architecture) -> PublicWeights:
    """The public weights of an architecture: `.url`, `.meta["categories"]`, `.preprocessing`.

    Raises BadInput if there are none."""
    if architecture.pretrained is None:
        raise BadInput(
            f"There are no public pretrained weights for {architecture.name}. Use weights='random', "
            "'bundled', or the path of a file."
        )
    if zoos.is_prefixed(architecture.pretrained):
        return zoos.weights(architecture.pretrained)
    return torchvision.enum_entry(architecture.pretrained)


def is_own_file(weights: PublicWeights, sha256: str) -> bool:
    """True if a file with this sha256 is the published one, where the address contains the sha256."""
    return sha256.startswith(expected_hash(weights.url) or "none")


def expected_hash(url: str) -> str | None:
    """First digits of the sha256, which torchvision writes into the file's name; None if there are none."""
    kind, digits = expected_checksum(url)
    return digits if kind == "sha256" else None


def expected_checksum(url: str) -> tuple[str, str | None]:
    """(kind, first digits) in the file's name: the sha256 of the file for torchvision, the sha1 of what the zip
    holds for pytorchcv. The hub's names have none: the sha256 comes with the answer to a HEAD request."""
    found = _HASH.search(urlsplit(url).path)
    kind = "sha1" if url.endswith(".zip") else "sha256"
    return kind, found[1] if found and not _HUB_FILE.search(urlsplit(url).path) else None


def cache_path(url: str) -> Path:
    """Where a downloaded file is kept: torch's own cache, $TORCH_HOME/hub/checkpoints. A zip is kept
    unpacked; a file of the hub, where all have one name, under the name of its repository."""
    path = unquote(urlsplit(url).path)
    hub = _HUB_FILE.search(path)
    name = hub[1].replace("/", "--") + hub[2] if hub else path.rpartition("/")[2].removesuffix(".zip")
    return _hub_folder() / "checkpoints" / name


def _hub_folder() -> Path:
    """torch.hub.get_dir(), which is not worth importing torch for: $TORCH_HOME/hub."""
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "hub"):
        return Path(torch.hub.get_dir())  # it may have been set
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return user_folder(os.environ.get("TORCH_HOME", os.path.join(caches, "torch"))) / "hub"


def fetch(url: str, progress: Progress | None = None) -> Checkpoint:
    """The weights behind `url`, from the cache or else downloaded. As `fetch_file`."""
    return fetch_file(url, progress).checkpoint


def fetch_file(url: str, progress: Progress | None = None) -> FetchedWeights:
    """The file behind `url`, from the cache or else downloaded, from $CNNVIZ_WEIGHTS_MIRROR if set.

    A download must have the checksum that its name tells, or that the hub tells. A cached file is taken as
    it is if it has that checksum, or if it can be read and is undamaged: it was put there by hand, which
    `checkpoint.warnings` says; otherwise it is downloaded again. `progress(bytes done, bytes in all)` is also
    called before anything is connected to; what it raises ends the download.
    Raises Offline, with the place to put the file by hand, if it cannot be fetched, and BadInput if what
    came is another file."""
    target = cache_path(url)
    if (cached := _read_cached(target, url)) is not None:
        return cached
    if progress:
        progress(0, 0)
    try:
        checksum = _download(url, target, progress)
    except Offline as error:
        raise Offline(
            f"{error} Put the file {target.name} at {target}, or set {MIRROR} to an address or a folder that has it."
        ) from error
    return FetchedWeights(target, read_weights(target), True, checksum)


def _download(url: str, target: Path, progress: Progress | None) -> str:
    """Download the file to `target`; returns a phrase that says which checksum was compared."""
    mirror, hub = os.environ.get(MIRROR), _HUB_FILE.search(urlsplit(url).path)
    if mirror and _is_renamed(url, target):
        try:  # a mirror may be a copy of a cache
            return _download_plain(mirror_url(f"/{target.name}", mirror), target, expected_checksum(url), progress)
        except Offline:
            if hub:
                raise
    source = mirror_url(url, mirror)
    if url.endswith(".zip"):
        kind, digits = expected_checksum(url)
        unpack(lambda zipped: download(source, zipped, progress=progress), target, kind, digits)
        return f"{kind} begins with {digits}, as its name tells"
    if hub and not mirror:
        if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
            raise Offline("HF_HUB_OFFLINE is set: nothing is fetched from the hub.")
        return _download_plain(url, target, ("sha256", _hub_sha256(url)), progress)
    return _download_plain(source, target, expected_checksum(url), progress)


def _is_renamed(url: str, target: Path) -> bool:
    return urlsplit(url).path.rpartition("/")[2] != target.name


def _download_plain(source: str, target: Path, expected: tuple[str, str | None], progress: Progress | None) -> str:
    kind, digits = expected
    download(source, target, sha256_prefix=digits if kind == "sha256" else None, progress=progress)
    if kind == "sha256":
        return f"sha256 begins with {digits[:8]}, as published" if digits else "no checksum is published for it"
    if not digits or hash_file(target, kind).startswith(digits):
        return f"{kind} begins with {digits}, as its name tells"
    target.unlink()
    raise BadInput(
        f"What {source} sent is not the expected file: its {kind} does not begin with {digits}. Nothing was kept. "
        "Try again, or ask who runs that server."
    )


def _hub_sha256(url: str) -> str | None:
    tag = first_headers(url).get("x-linked-etag", "").strip('W/"')
    return tag if re.fullmatch(r"[0-9a-f]{64}", tag) else None


def hash_file(path: Path, kind: str) -> str:
    """The checksum of a file, hex. `kind`: "sha256", "sha1", …"""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _read_cached(target: Path, url: str) -> FetchedWeights | None:
    if not target.is_file():
        return None
    try:
        checkpoint = read_weights(target)
    except BadCheckpoint:
        return None
    kind, digits = expected_checksum(url)
    found = checkpoint.sha256 if kind == "sha256" else hash_file(target, kind)
    if not digits:
        unchecked = FetchedWeights(target, checkpoint, False, "no checksum is published for it")
        return unchecked if is_intact(target) else None
    if found.startswith(digits):
        return FetchedWeights(target, checkpoint, False, f"{kind} begins with {digits[:8]}, as published")
    if not is_intact(target):
        return None
    checkpoint.warnings.append(
        f"{target.name} in the cache is not the published file ({kind} {found[:8]}…, published {digits}…); it was "
        "used as it is. Delete it to download it again."
    )
    return FetchedWeights(target, checkpoint, False, "not the published file")
