"""What can be downloaded, with size, source and place: published weights, public data sets, what a lecture wants."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cnnviz.data.public import public_files
from cnnviz.data.public.download import mirror_url
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo import download as weights_files

DATA_MIRROR = "CNNVIZ_DATA_MIRROR"
LECTURE_WEIGHTS = {
    "squeezenet1_0": ("https://download.pytorch.org/models/squeezenet1_0-b66bff10.pth", 5_010_096),
    "alexnet": ("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", 244_409_434),
    "googlenet": ("https://download.pytorch.org/models/googlenet-1378be20.pth", 52_146_733),
}  # address and bytes as torchvision has them, which takes seconds to import
LECTURE_DATA = ("imagenette",)
Progress = Callable[[int, int], None]  # (bytes so far, bytes in all; 0 = unknown)


@dataclass(frozen=True, slots=True)
class Download:
    """One thing to download: the published weights of a network, or a public data set.

    `name`: of the network or the set. `title`: what people call it. `kind`: "weights" or "data". `addresses`: of the
    published files. `size_bytes`: of all together; 0 = not published. `estimated`: the size is computed from the number
    of weights. `place`: the file it is kept as, or the folder. `mirror`: the variable that names a server or a folder
    to take the files from. `is_here()`: whether it needs no download. `fetch(progress)`: download it; raises Offline,
    BadInput for other contents than published, CnnvizError where it cannot be written."""

    name: str
    title: str
    kind: str
    addresses: tuple[str, ...]
    size_bytes: int
    place: Path
    mirror: str
    is_here: Callable[[], bool]
    fetch: Callable[[Progress | None], Any]
    estimated: bool = False

    @property
    def what(self) -> str:
        """ "weights of alexnet", "Imagenette (160 px)"."""
        return f"weights of {self.name}" if self.kind == "weights" else self.title

    @property
    def source(self) -> str:
        """The host that the files come from, or the mirror's; "a folder" for a mirror on this computer's disk."""
        mirrored = mirror_url(self.addresses[0], os.environ.get(self.mirror))
        return urlsplit(mirrored).netloc.rpartition("@")[2] or "a folder"

    @property
    def size_text(self) -> str:
        """ "244.4 MB", "about 3.1 MB", "size not published"."""
        if not self.size_bytes:
            return "size not published"
        return f"{'about ' if self.estimated else ''}{self.size_bytes / 1e6:,.1f} MB"

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self.place if self.kind == "data" else self.place.parent

    @property
    def files(self) -> dict[str, str]:
        """{name of a published file: its address}."""
        return {address.rpartition("/")[2]: address for address in self.addresses}

    @property
    def by_hand(self) -> str:
        """What to do in `folder` with files that were fetched with a browser, e.g. "put it there"."""
        if self.kind == "data":
            return f"put {'them' if len(self.addresses) > 1 else 'it'} there, still packed"
        if self.addresses[0].endswith(".zip"):
            return f"unpack it there as {self.place.name}"
        return "put it there" if self.place.name in self.files else f"save it there as {self.place.name}"


def weights_download(name: str) -> Download:
    """The published weights of network `name`. Raises UnknownName, and BadInput if there are none."""
    if name in LECTURE_WEIGHTS:
        return _describe_weights(name, *LECTURE_WEIGHTS[name])
    found = weights_files.find_weights(find(name))
    return _describe_weights(name, found.url, found.size_bytes, estimated=found.url.endswith(".zip"))


def data_download(name: str) -> Download:
    """The public data set of this name, or that a split belongs to ("mnist-test"). Raises UnknownName."""
    family = public_files.family_of(name)
    entry = public_files.SETS[family]
    return Download(
        family,
        entry.title,
        "data",
        tuple(archive.url for archive in entry.archives),
        entry.size,
        public_files.data_folder(),
        DATA_MIRROR,
        lambda: public_files.is_here(family),
        lambda progress: public_files.prefetch(family, progress),
    )


def lecture_downloads() -> list[Download]:
    """What a lecture on trained networks wants: three small ImageNet networks, and photographs of ten classes."""
    return [*map(weights_download, LECTURE_WEIGHTS), *map(data_download, LECTURE_DATA)]


def _describe_weights(name: str, url: str, size_bytes: int, estimated: bool = False) -> Download:
    place = weights_files.cache_path(url)
    return Download(
        name,
        find(name).title,
        "weights",
        (url,),
        size_bytes,
        place,
        weights_files.MIRROR,
        place.is_file,
        lambda progress: weights_files.fetch_file(url, progress),
        estimated,
    )
