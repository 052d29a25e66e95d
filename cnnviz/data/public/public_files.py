"""Files of the public data sets: addresses and checksums, download, cache folder, unpacking."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cnnviz.data.public import download as downloads
from cnnviz.data.public.flowers import IMAGES, is_flowers
from cnnviz.errors import BadInput, CnnvizError, Offline, unknown
from cnnviz.paths import user_folder

Progress = Callable[[int, int], None]
DOWNLOADED = (
    *("cifar10", "cifar10-test", "mnist", "mnist-test", "imagenette", "imagenette-val"),
    *("flowers", "flowers-val", "flowers-test"),
)
BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}


@dataclass(frozen=True, slots=True)
class Archive:
    """One file to download: address, md5, size in bytes."""

    url: str
    md5: str
    size: int

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A public data set: `folder` holds it unpacked, relative to the data folder."""

    title: str
    folder: str
    archives: tuple[Archive, ...]

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(archive.size for archive in self.archives)


_MNIST_HOST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_CIFAR10 = Archive(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    size=170_498_071,
)
_MNIST = (
    Archive(f"{_MNIST_HOST}train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
    Archive(f"{_MNIST_HOST}train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
    Archive(f"{_MNIST_HOST}t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
    Archive(f"{_MNIST_HOST}t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
)
_IMAGENETTE = Archive(
    "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
    md5="e793b78cc4c9e9a4ccc0c1155377a412",
    size=99_003_388,
)
_FLOWERS_HOST = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_FLOWERS = (
    Archive(f"{_FLOWERS_HOST}102flowers.tgz", "52808999861908f626f3c1f4e79d11fa", 344_862_509),
    Archive(f"{_FLOWERS_HOST}imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", 502),
    Archive(f"{_FLOWERS_HOST}setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", 14_989),
)
SETS = {  # addresses and md5 as in torchvision.datasets
    "cifar10": PublicSet("CIFAR-10", "cifar-10-batches-py", (_CIFAR10,)),
    "mnist": PublicSet("MNIST", "MNIST/raw", _MNIST),
    "imagenette": PublicSet("Imagenette (160 px)", "imagenette2-160", (_IMAGENETTE,)),
    "flowers": PublicSet("Oxford Flowers-102", "flowers-102", _FLOWERS),
}
busy = {family: threading.Lock() for family in SETS}  # held while its files are made


def data_folder() -> Path:
    """Where downloads are kept: $CNNVIZ_DATA or ~/.cache/cnnviz/data."""
    return user_folder(os.environ.get("CNNVIZ_DATA") or "~/.cache/cnnviz/data")


def is_here(name: str) -> bool:
    """True if the set of this name ("cifar10", "mnist-test", …) needs no download."""
    family = family_of(name)
    if family == "imagenette":  # 13,000 files; the folder appears only when all are there
        return all((home_of(family) / split).is_dir() for split in ("train", "val"))
    if family == "flowers":
        return is_flowers(home_of(family))
    return all((home_of(family) / file).is_file() for file in _list_needed(family))


def prefetch(name: str, progress: Progress | None = None) -> Path:
    """The folder of the unpacked set, downloaded first if need be.

    An archive that lies in the data folder already, put there by hand, is used instead of a download;
    $CNNVIZ_DATA_MIRROR, a base URL or a folder, replaces the public hosts. `progress(done, total)`: bytes.
    Raises UnknownName; Offline naming the file and where to put it; BadInput if a file is damaged; CnnvizError if the
    data folder cannot be written."""
    family = family_of(name)
    if is_here(family):
        return home_of(family)
    with busy[family]:  # two sessions that want the same set: the second finds it
        if not is_here(family):
            try:
                _fetch_set(family, progress)
            except OSError as error:
                raise CnnvizError(
                    f"Could not write {SETS[family].title} into {data_folder()}: {error.strerror or error}. Free space "
                    "on that disk, or set CNNVIZ_DATA to a folder that can be written."
                ) from error
    return home_of(family)


def _fetch_set(family: str, progress: Progress | None) -> None:
    data_folder().mkdir(parents=True, exist_ok=True)
    done, entry = 0, SETS[family]
    for archive in entry.archives:
        with _fetch_archive(entry, archive, done, progress) as path:
            _unpack(family, path)
        done += archive.size


def family_of(name: str) -> str:
    """The set that a split belongs to: "mnist" of "mnist-test". Raises UnknownName with the closest names."""
    family = name.partition("-")[0]
    if family not in SETS:
        unknown("corpus", name, SETS)
    return family


def home_of(family: str) -> Path:
    """The folder of the unpacked set, there or not."""
    return data_folder() / SETS[family].folder


def _list_needed(family: str) -> list[str]:
    if family == "mnist":
        return [archive.file.removesuffix(".gz") for archive in SETS["mnist"].archives]
    return [*BATCHES["train"], *BATCHES["test"]]


@contextmanager
def _fetch_archive(entry: PublicSet, archive: Archive, before: int, progress: Progress | None) -> Iterator[Path]:
    """The archive on disk; what was downloaded for this is removed afterwards."""
    path = data_folder() / archive.file
    if path.is_file() and _md5(path) == archive.md5:
        yield path
        return

    def report(done: int, _total: int) -> None:
        if progress:
            progress(before + done, max(entry.size, before + done))

    address = downloads.mirror_url(archive.url, os.environ.get("CNNVIZ_DATA_MIRROR"))
    try:
        downloads.download(address, path, md5=archive.md5, progress=report)
    except Offline as error:
        raise Offline(
            f"{error} {entry.title} needs {archive.file} ({archive.size / 1e6:,.1f} MB, md5 {archive.md5}): "
            f"put it into {data_folder()}, or set CNNVIZ_DATA_MIRROR to an address or a folder that has it."
        ) from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(family: str, archive: Path) -> None:
    home = home_of(family)
    if archive.suffix == ".mat":
        shutil.copyfile(archive, home / archive.name)
        return
    if family == "flowers":  # its folder holds the images' folder, and tables beside it
        home.mkdir(parents=True, exist_ok=True)
        with fill_folder(home / IMAGES) as partial:
            _untar(archive, IMAGES, partial)
        return
    if family != "mnist":
        with fill_folder(home) as partial:
            _untar(archive, home.name, partial)
        return
    home.mkdir(parents=True, exist_ok=True)
    partial = home / f".{archive.stem}.{os.getpid()}"
    try:
        with gzip.open(archive) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target)
        partial.replace(home / archive.stem)
    finally:
        partial.unlink(missing_ok=True)


def _untar(archive: Path, top: str, target: Path) -> None:
    """Write the regular files below `top` into `target`; links, devices and odd paths are left out."""
    try:
        with tarfile.open(archive) as content:
            for member in content:
                parts = PurePosixPath(member.name).parts
                if not member.isfile() or len(parts) < 2 or parts[0] != top or ".." in parts:
                    continue
                path = target.joinpath(*parts[1:])
                path.parent.mkdir(parents=True, exist_ok=True)
                source = content.extractfile(member)
                assert source is not None  # a regular file
                with source, path.open("wb") as file:
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BadInput(f"{archive.name} is no readable archive ({error}). Delete it and try again.") from error


@contextmanager
def fill_folder(target: Path) -> Iterator[Path]:
    """A new folder that becomes `target`, whatever lay there, only when it is filled without an error."""
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    partial.chmod(0o755)  # mkdtemp's is private; a classroom shares the cache
    try:
        yield partial
        if target.is_dir():
            shutil.rmtree(target)
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
