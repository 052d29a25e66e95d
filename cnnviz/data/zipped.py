"""Class folders in a zip, as training reads them, and which images are held out where no test split is given."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz.data.folders import ZipCorpus
from cnnviz.errors import BadImage, BadInput
from cnnviz.wording import plural

if TYPE_CHECKING:
    import numpy as np

    from cnnviz.data.preprocessing import Preprocessing

SPLITS = {"train": ("train",), "test": ("test", "val", "valid", "validation")}


class ZippedClasses:
    """A zip of class folders, which may lie in one folder more, and in train/ and test/ (or val/).

    `classes`: their names in the order of the labels. Raises BadInput for what is no such zip."""

    def __init__(self, path: Path) -> None:
        self._images = ZipCorpus(path)
        places = [tuple(image_id.split("/")) for image_id in self._images.ids]
        while places and min(map(len, places)) > 2 and len({one[0] for one in places}) == 1:
            if places[0][0] in SPLITS["train"]:
                break
            places = [one[1:] for one in places]
        tops = {one[0] for one in places}
        self._divided = {name for name, folders in SPLITS.items() if tops & {*folders}}
        if "train" not in self._divided:  # a class may well be called "test"
            self._divided, places = set(), [("train", *one) for one in places]
        found = [(row, one[0], one[1], one[-1]) for row, one in enumerate(places) if len(one) > 2]
        self._places: list[tuple[int, str, str, str]] = found  # row, top folder, class folder, file
        self.classes = sorted({name for _, top, name, _ in found if top in SPLITS["train"]})
        if len(self.classes) < 2:
            raise BadInput(
                f"The zip holds {plural(len(self.classes), 'class')} with images; training needs at least two class "
                "folders, e.g. cat/1.jpg and dog/1.jpg, or train/cat/1.jpg and test/cat/2.jpg."
            )

    def choose(self, split: str) -> list[tuple[int, int]]:
        """(row in the zip, label) of the images of a split; a tenth is held out where there is no test split. Raises
        BadInput if there are none."""
        whole = "test" in self._divided
        wanted = SPLITS[split] if whole else SPLITS["train"]
        own = [(row, name, file) for row, top, name, file in self._places if top in wanted]
        if whole and (strange := sorted({name for _, name, _ in own} - {*self.classes})):
            raise BadInput(f"The test images of the zip have classes that are not trained: {', '.join(strange[:5])}.")
        if not whole:
            own = [one for one in own if is_held_out(*one[1:]) == (split == "test")]
        if not own:
            raise BadInput(f"The zip holds no {split} images. Add some, e.g. test/cat/1.jpg beside train/cat/2.jpg.")
        return [(row, self.classes.index(name)) for row, name, _ in own]

    def describe(self, split: str) -> str:
        """How the images of a split were chosen."""
        return f"{split} folder" if "test" in self._divided else f"{split}: a tenth held out by name"

    def read(self, row: int, preprocessing: Preprocessing) -> np.ndarray:
        """uint8 (H, W, C) of one image, sized for the network. Raises BadInput if it is damaged."""
        try:
            return preprocessing.received_from(self._images, row)
        except BadImage as error:
            raise BadInput(f"Cannot train on this zip: {error}") from error


def is_held_out(folder: str, file: str) -> bool:
    """Whether an image of a class folder belongs to the tenth that is kept for testing: by a hash of its name."""
    return hashlib.sha256(os.fsencode(f"{folder}/{file}")).digest()[0] % 10 == 0
