"""Images with labels, as training reads them: class folders, MNIST's IDX files, public data sets."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cnnviz.data.class_names import MNIST
from cnnviz.data.idx import find_idx, read_idx
from cnnviz.data.images import SUFFIXES, open_image
from cnnviz.data.public.flowers import is_flowers, list_flowers
from cnnviz.data.public.handwritten import read_handwritten
from cnnviz.data.public.public_sets import IMAGENETTE, TRAINING_SETS, prepare_training_folder
from cnnviz.data.zipped import SPLITS, ZippedClasses, is_held_out
from cnnviz.display import Summarised
from cnnviz.errors import BadImage, BadInput
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.preprocessing import Preprocessing

IN_MEMORY = 4 << 30  # bytes of pixels kept; larger sets are decoded as they are needed
DIGITS = "digits"  # scikit-learn's handwritten ones


@dataclass(frozen=True, slots=True, repr=False)
class LabelledSet(Summarised):
    """`labels`: (N,) int64. `pixels`: uint8 (N, H, W, C) as the network receives them, or None when the
    set is too large for memory; then `files` are decoded batch by batch. `split`: how it was chosen."""

    labels: np.ndarray
    class_names: list[str]
    split: str
    pixels: np.ndarray | None = None
    files: list[Path] = field(default_factory=list)
    preprocessing: Preprocessing | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """uint8 (B, H, W, C) of the images at `indices`."""
        if self.pixels is not None:
            return self.pixels[indices]
        assert self.preprocessing is not None
        return read_files([self.files[i] for i in indices], self.preprocessing)

    @property
    def fingerprint(self) -> str:
        """sha256 over labels, class names and every 97th image: differs between data sets."""
        digest = hashlib.sha256(self.labels.tobytes() + "|".join(self.class_names).encode())
        for index in range(0, len(self), max(1, len(self) // 97)):
            digest.update(self.batch(np.array([index])).tobytes())
        return digest.hexdigest()


def load_labelled(
    source: str | Path, split: str, preprocessing: Preprocessing, lazy: bool = False, per_class: int = 0
) -> LabelledSet:
    """The "train" or "test" images of `source`, sized for the network.

    `source`: a folder with train/ and test/ (or val/) class folders; a folder of class folders, or one with train/
    alone (a tenth of the images, by a hash of their names, is held out as test); a zip of either; a folder with MNIST's
    IDX files, or laid out as Flowers-102; a name of TRAINING_SETS, downloaded once; or "digits", scikit-learn's. Raises
    BadInput if it is none of these or damaged. `lazy`: leave image files on disk until `batch` asks for them.
    `per_class`: of the training split the first so many images of each class only, all of a class that has fewer; 0:
    all."""
    if per_class < 0:
        raise BadInput(f"The number of images of each class must be at least 1, got {per_class}.")
    if str(source) == DIGITS:
        return _read_digits(split, preprocessing, per_class)
    if (wnids := str(source) == "imagenette") or str(source) in TRAINING_SETS:
        source = prepare_training_folder(str(source))
    root, per_class = Path(source), per_class if split == "train" else 0
    if root.is_file() and root.suffix.lower() == ".zip":
        return _read_zip(root, split, preprocessing, per_class)
    if not root.is_dir():
        raise BadInput(
            f"No data at {str(source)!r}. Give a folder or zip of class folders, a folder with MNIST's IDX files, or "
            f"one of: {', '.join((DIGITS, *TRAINING_SETS))}."
        )
    for raw in (root, root / "MNIST" / "raw"):
        if find_idx(raw, "train", "images") is not None:
            return _read_idx_split(raw, split, preprocessing, per_class)
    if is_flowers(root):
        files, labels, names = list_flowers(root, split)
        return _load_files(files, labels, names, f"{split} split of Flowers-102", preprocessing, lazy, per_class)
    files, labels, names, how = _list_class_folders(root, split)
    names = [IMAGENETTE.get(name, name) for name in names] if wnids else names
    return _load_files(files, labels, names, how, preprocessing, lazy, per_class)


def _read_digits(split: str, preprocessing: Preprocessing, per_class: int) -> LabelledSet:
    pixels, labels = read_handwritten(split)
    rows = choose_per_class(labels, per_class if split == "train" else 0)
    sized = np.stack([preprocessing.receive(Image.fromarray(pixels[row])) for row in rows])
    return LabelledSet(labels[rows], MNIST, f"{split}: every fifth digit is a test image", sized)


def _load_files(
    files: list[Path],
    labels: np.ndarray,
    names: list[str],
    how: str,
    preprocessing: Preprocessing,
    lazy: bool,
    per_class: int,
) -> LabelledSet:
    rows = choose_per_class(labels, per_class)
    files, labels = [files[row] for row in rows], labels[rows]
    size = len(files) * int(np.prod(preprocessing.size)) * preprocessing.channels
    if lazy or size > IN_MEMORY:
        return LabelledSet(labels, names, how, None, files, preprocessing)
    return LabelledSet(labels, names, how, read_files(files, preprocessing))


def choose_per_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Rows of the first `count` images of each class, in their order, of `labels` (N,); all of a class that has fewer,
    and every row for 0."""
    if not count:
        return np.arange(len(labels))
    kept = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(kept)) if kept else np.arange(0)


def _read_idx_split(raw: Path, split: str, preprocessing: Preprocessing, per_class: int) -> LabelledSet:
    images, labels = find_idx(raw, split, "images"), find_idx(raw, split, "labels")
    if images is None or labels is None:
        raise BadInput(f"{raw} lacks the {split} images or labels in IDX form.")
    pixels, answers = read_idx(images), read_idx(labels).astype(np.int64)
    if pixels.ndim != 3 or answers.ndim != 1 or not len(pixels):
        raise BadInput(
            f"{images.name} and {labels.name} need shapes (N, H, W) and (N,), they have {pixels.shape} and "
            f"{answers.shape}."
        )
    if len(pixels) != len(answers):
        raise BadInput(
            f"{images.name} holds {plural(len(pixels), 'image')} but {labels.name} {plural(len(answers), 'label')}."
        )
    names = MNIST if answers.max() < 10 else [str(i) for i in range(answers.max() + 1)]
    rows = choose_per_class(answers, per_class)
    pixels, answers = pixels[rows], answers[rows]
    if pixels.shape[1:] == preprocessing.size and preprocessing.channels == 1:
        sized = pixels[:, :, :, None]
    else:
        sized = np.stack([preprocessing.receive(Image.fromarray(p)) for p in pixels])
    return LabelledSet(answers, names, f"{split} of IDX files", np.ascontiguousarray(sized))


def _list_class_folders(root: Path, split: str) -> tuple[list[Path], np.ndarray, list[str], str]:
    """(files, labels, class names, how the split was chosen) of class folders."""
    folder, divided = _find_split(root, split)
    names = list_class_folders(folder)
    files, labels = [], []
    for label, name in enumerate(names):
        for path in sorted((folder / name).rglob("*")):
            if _is_image(path) and (divided or is_held_out(path.parent.name, path.name) == (split == "test")):
                files.append(path)
                labels.append(label)
    if split == "train" and len(set(labels)) < 2:
        raise BadInput(
            f"{folder} holds {plural(len(set(labels)), 'class')} with images; training needs at least two "
            "class folders, "
            "e.g. data/train/cat/1.jpg and data/train/dog/1.jpg."
        )
    if not files:
        why = "" if divided else ": too few to hold out a tenth"
        raise BadInput(f"{folder} holds no test images{why}. Add some, e.g. data/test/cat/1.jpg beside data/train.")
    how = f"{split} folder" if divided else f"{split}: a tenth held out by name"
    return files, np.array(labels, np.int64), names, how


def _read_zip(path: Path, split: str, preprocessing: Preprocessing, per_class: int) -> LabelledSet:
    archive = ZippedClasses(path)
    chosen = archive.choose(split)
    labels = np.array([label for _, label in chosen], np.int64)
    kept = choose_per_class(labels, per_class)
    if len(kept) * int(np.prod(preprocessing.size)) * preprocessing.channels > IN_MEMORY:
        raise BadInput("The images of the zip do not fit into memory. Unpack it and give the folder.")
    pixels = np.stack([archive.read(chosen[row][0], preprocessing) for row in kept])
    return LabelledSet(labels[kept], archive.classes, archive.describe(split), pixels)


def list_class_folders(folder: Path) -> list[str]:
    """Names of the folders in `folder`, hidden ones apart, in the order of their labels."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _find_split(root: Path, split: str) -> tuple[Path, bool]:
    """Where the class folders of a split are, and whether they hold that split alone."""
    here = {
        wanted: next((root / name for name in names if (root / name).is_dir()), None)
        for wanted, names in SPLITS.items()
    }
    if not any(here.values()) and (root / "cifar10").is_dir():
        return _find_split(root / "cifar10", split)
    if here["train"] is None:
        return root, False  # a class may well be called "test"
    return (here[split] or here["train"]), here["test"] is not None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")  # macOS leaves "._1.jpg" behind


def read_files(files: list[Path], preprocessing: Preprocessing) -> np.ndarray:
    """uint8 (N, H, W, C) of image files, decoded by a few threads.

    Each is opened by `open_image`: turned upright, checked for size. Raises BadInput naming the file that
    cannot be read."""

    def read(path: Path) -> np.ndarray:
        try:
            return preprocessing.receive(open_image(path))
        except BadImage as error:
            raise BadInput(f"Cannot train on {path.parent.name}/{path.name}: {error} Or remove it.") from error

    with ThreadPoolExecutor(4) as pool:
        return np.stack(list(pool.map(read, files, chunksize=256)))
