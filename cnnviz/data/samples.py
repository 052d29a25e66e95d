"""Images that need no network: scikit-image's photographs with many crops of them, and drawn digits.

Only files inside the installed scikit-image are read, those that every wheel since 0.24 carries; nothing
of it is imported, so nothing is downloaded. Each photograph's licence: scikit-image's data/README."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnnviz.data.corpus import Corpus
from cnnviz.data.grouping import SOURCE
from cnnviz.data.images import open_image
from cnnviz.errors import BadInput, CnnvizError, unknown

SMALLEST = 96  # side of the smallest crop, pixels
VARIANTS = 30  # drawings of each digit
_FINE, _DIGIT = 8, 28  # digits are drawn 8 times as large as they are kept


@dataclass(frozen=True, slots=True)
class Photo:
    """`scales`: crop sides as parts of the short side. `mirror`: every second crop is mirrored; not for
    what reads one way, such as text."""

    name: str
    file: str
    scales: tuple[float, ...] = ()
    mirror: bool = True


_MANY, _SOME, _FEW = (0.85, 0.62, 0.45, 0.33), (0.7, 0.45), (0.6,)
PHOTOS = (  # natural scenes first
    Photo("astronaut", "astronaut.png", _MANY),
    Photo("chelsea", "chelsea.png", _MANY),
    Photo("coffee", "coffee.png", _MANY),
    Photo("motorcycle", "motorcycle_left.png", _MANY),
    Photo("rocket", "rocket.jpg", _MANY),
    Photo("camera", "camera.png", _MANY),
    Photo("coins", "coins.png", _SOME, mirror=False),
    Photo("horse", "horse.png", _FEW),
    Photo("brick", "brick.png", _FEW),
    Photo("grass", "grass.png", _FEW),
    Photo("gravel", "gravel.png", _FEW),
    Photo("moon", "moon.png", _FEW),
    Photo("hubble_deep_field", "hubble_deep_field.jpg", _FEW),
    Photo("immunohistochemistry", "ihc.png", _FEW),
    Photo("retina", "retina.jpg", _FEW),
    Photo("cell", "cell.png", _FEW),
    Photo("page", "page.png", _FEW, mirror=False),
    Photo("text", "text.png", _FEW, mirror=False),
    Photo("clock", "clock_motion.png"),
    Photo("colorwheel", "color.png"),
    Photo("checkerboard", "chessboard_RGB.png"),
)


def sample_names() -> list[str]:
    """Names of the whole photographs, natural scenes first; those that this scikit-image has."""
    return [photo.name for photo in _list_photos()]


def sample_photo(name: str) -> Image.Image:
    """One whole photograph, RGB, 191 to 1,411 pixels a side. Raises UnknownName with the closest names."""
    known = {photo.name: photo.file for photo in _list_photos()}
    if name not in known:
        unknown("sample photograph", name, known)
    return _decode(known[name]).copy()


def samples() -> Corpus:
    """The corpus "samples": "astronaut", the whole photographs, then "astronaut/00", …, their square crops
    of several sizes, cropped when they are read. Order and contents never change."""
    return SampleCorpus()


class SampleCorpus(Corpus):
    """See `samples`."""

    group = SOURCE

    def __init__(self) -> None:
        photos = _list_photos()
        cuts = [[(f"{p.name}/{i:02d}", p, box) for i, box in enumerate(_place_crops(p))] for p in photos]
        whole = [(photo.name, photo, None) for photo in photos]
        turns = [cut for turn in zip_longest(*cuts) for cut in turn if cut]  # so that `take` stays varied
        super().__init__("samples", [image_id for image_id, _photo, _box in whole + turns])
        self._cuts = [(photo, box) for _id, photo, box in whole + turns]

    def _read(self, index: int, side: int | None) -> Image.Image:
        photo, box = self._cuts[index]
        if box is None:
            return sample_photo(photo.name)
        crop = _decode(photo.file).crop(box)
        odd = int(self.ids[index].rpartition("/")[2]) % 2
        return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if photo.mirror and odd else crop

    def _contents(self) -> Iterable[bytes]:
        files = (hashlib.sha256((_find_folder() / photo.file).read_bytes()).digest() for photo in _list_photos())
        return [*files, repr([(photo.mirror, box) for photo, box in self._cuts]).encode()]


def digits() -> Corpus:
    """The corpus "digits": white on black, drawn with Pillow's own font, not MNIST. Ids "digit-3/07",
    labels "0" to "9"; VARIANTS of each, shifted, turned, scaled and of several stroke widths."""
    return DigitCorpus()


class DigitCorpus(Corpus):
    """See `digits`."""

    def __init__(self) -> None:
        self._drawn = [(number, variant) for variant in range(VARIANTS) for number in range(10)]
        ids = [f"digit-{number}/{variant:02d}" for number, variant in self._drawn]
        super().__init__("digits", ids, [str(number) for number, _variant in self._drawn])

    def _read(self, index: int, side: int | None) -> Image.Image:
        return draw_digit(*self._drawn[index])

    def _contents(self) -> Iterable[bytes]:
        return [b"drawn, first form"]


def draw_digit(number: int, variant: int = 0) -> Image.Image:
    """A drawn digit, 28×28 RGB, white on black; the same for the same arguments, upright for variant 0.

    About 18 pixels high; as in MNIST its centre of mass lies in the middle, give or take a pixel.
    Raises BadInput unless 0 <= number <= 9 and variant >= 0."""
    if not 0 <= number <= 9 or variant < 0:
        raise BadInput(f"Expected a digit 0 to 9 and a variant from 0, got {number} and {variant}.")
    angle, scale, right, down = (_spread(variant, axis) for axis in range(4))
    height = 18 * (1 + 0.1 * scale) * _FINE
    font = ImageFont.load_default(size=height / 0.72)  # a digit is 0.72 of the font's size high
    side = _DIGIT * _FINE
    sheet = Image.new("L", (side, side), 0)
    ImageDraw.Draw(sheet).text(
        (side / 2, side / 2), str(number), 255, font, anchor="mm", stroke_width=(variant % 3) * _FINE // 4
    )
    turned = sheet.rotate(12 * angle, Image.Resampling.BICUBIC)
    x, y = _centre_of_mass(turned)
    moved = (1, 0, x - side / 2 - right * _FINE, 0, 1, y - side / 2 - down * _FINE / 2)
    return turned.transform((side, side), Image.Transform.AFFINE, moved).reduce(_FINE).convert("RGB")


def _centre_of_mass(picture: Image.Image) -> tuple[float, float]:
    """(x, y) in pixels, weighted by brightness."""
    weight = np.asarray(picture, np.float64)
    across, along = weight.sum(0), weight.sum(1)
    return (
        float(across @ (np.arange(len(across)) + 0.5) / across.sum()),
        float(along @ (np.arange(len(along)) + 0.5) / along.sum()),
    )


def _spread(variant: int, axis: int) -> float:
    """-1 … 1, evenly spread over the variants and different on each axis; 0 for variant 0.

    Additive recurrence with square roots of primes (Kronecker sequence)."""
    return 2 * ((0.5 + variant * math.sqrt((2, 3, 5, 7)[axis])) % 1.0) - 1


@cache
def _find_folder() -> Path:
    """scikit-image's data folder, found without importing it."""
    spec = find_spec("skimage")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / "data" / PHOTOS[0].file).is_file():
            return Path(place) / "data"
    raise CnnvizError("The sample photographs come with scikit-image. Install it: pip install 'scikit-image>=0.24'.")


@cache
def _list_photos() -> tuple[Photo, ...]:
    return tuple(photo for photo in PHOTOS if (_find_folder() / photo.file).is_file())


@lru_cache(maxsize=32)
def _decode(file: str) -> Image.Image:
    return open_image(_find_folder() / file)


@cache
def _read_size(file: str) -> tuple[int, int]:
    with Image.open(_find_folder() / file) as header:
        return header.size


def _place_crops(photo: Photo) -> list[tuple[int, int, int, int]]:
    """(left, top, right, bottom) of the square crops, largest first, evenly placed, overlapping a little."""
    width, height = _read_size(photo.file)
    boxes: list[tuple[int, int, int, int]] = []
    for scale in photo.scales:
        side = max(SMALLEST, round(min(width, height) * scale))
        for top in _space_evenly(height, side):
            boxes.extend((left, top, left + side, top + side) for left in _space_evenly(width, side))
    return boxes


def _space_evenly(length: int, side: int) -> list[int]:
    count = 1 + math.ceil((length - side) / (0.75 * side))
    return [round(i * (length - side) / max(1, count - 1)) for i in range(count)]
