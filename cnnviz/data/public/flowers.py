"""Oxford Flowers-102: 102 kinds of flowers, 10 training images of each. Source: Nilsback, Zisserman, ICVGIP 2008."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnviz.errors import BadInput

LABELS, SPLITS, IMAGES = "imagelabels.mat", "setid.mat", "jpg"
_VARIABLES = {"train": "trnid", "val": "valid", "test": "tstid"}
CLASSES = [
    name.strip()
    for name in """
pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger lily, moon orchid,
bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king protea, spear thistle, yellow iris,
globe-flower, purple coneflower, peruvian lily, balloon flower, giant white arum lily, fire lily, pincushion flower,
fritillary, red ginger, grape hyacinth, corn poppy, prince of wales feathers, stemless gentian, artichoke,
sweet william, carnation, garden phlox, love in the mist, mexican aster, alpine sea holly, ruby-lipped cattleya,
cape flower, great masterwort, siam tulip, lenten rose, barbeton daisy, daffodil, sword lily, poinsettia,
bolero deep blue, wallflower, marigold, buttercup, oxeye daisy, common dandelion, petunia, wild pansy, primula,
sunflower, pelargonium, bishop of llandaff, gaura, geranium, orange dahlia, pink-yellow dahlia, cautleya spicata,
japanese anemone, black-eyed susan, silverbush, californian poppy, osteospermum, spring crocus, bearded iris,
windflower, tree poppy, gazania, azalea, water lily, rose, thorn apple, morning glory, passion flower, lotus,
toad lily, anthurium, frangipani, clematis, hibiscus, columbine, desert-rose, tree mallow, magnolia, cyclamen,
watercress, canna lily, hippeastrum, bee balm, ball moss, foxglove, bougainvillea, camellia, mallow,
mexican petunia, bromelia, blanket flower, trumpet creeper, blackberry lily
""".split(",")
]  # in the order of the labels, as the authors' page of categories names them


def is_flowers(folder: Path) -> bool:
    """Whether a folder is laid out as the published set: jpg/, imagelabels.mat, setid.mat."""
    return (folder / IMAGES).is_dir() and all((folder / name).is_file() for name in (LABELS, SPLITS))


def _read_table(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a MATLAB file; nothing in it is executed. Raises BadInput if it cannot be read."""
    from scipy.io import loadmat

    try:
        found = loadmat(path)
    except Exception as error:  # noqa: BLE001, a damaged file raises anything
        raise BadInput(f"{path.name} cannot be read ({error}). Delete it and get it again.") from error
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray) and value.dtype.kind in "iuf"}


def list_flowers(folder: Path, split: str) -> tuple[list[Path], np.ndarray, list[str]]:
    """(files, labels (N,) int64, class names) of the authors' split "train", "val" or "test", sorted by number.

    Raises BadInput if the tables are damaged or an image is missing."""
    tables = _read_table(folder / SPLITS) | _read_table(folder / LABELS)
    try:
        numbers = np.sort(tables[_VARIABLES[split]].ravel().astype(np.int64))
        labels = tables["labels"].ravel().astype(np.int64)[numbers - 1] - 1
    except (KeyError, IndexError) as error:
        raise BadInput(f"{SPLITS} and {LABELS} do not belong to Flowers-102 ({error}). Get them again.") from error
    if not len(numbers) or numbers.min() < 1 or not 0 <= labels.min() <= labels.max() < len(CLASSES):
        raise BadInput(f"{SPLITS} and {LABELS} number images or kinds that Flowers-102 has not. Get them again.")
    files = [folder / IMAGES / f"image_{number:05d}.jpg" for number in numbers]
    if (lost := next((path for path in files if not path.is_file()), None)) is not None:
        raise BadInput(f"Flowers-102 lacks {lost.name}. Remove {folder} and get it again.")
    return files, labels, list(CLASSES)
