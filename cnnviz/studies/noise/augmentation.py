"""Augmentation: an image shifted, turned, stretched, sheared, mirrored, cropped or recoloured; ten crops, scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel

PADDED = 1 / 8  # of the side: 4 pixels of 32
SCALES = (224, 256, 384, 480, 640)  # short side in pixels, for a network of 224
QUARTERS = (0, 90, 180, 270)  # degrees, counter-clockwise
Edit = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True, slots=True, repr=False)
class AugmentedImage(Summarised):
    """One version of an image. `kind`: "shift", "rotation", …; `name`: which one, in words; `pixels`: uint8 (H, W, C),
    what the network receives; `probabilities` (classes,) of it."""

    kind: str
    name: str
    pixels: np.ndarray
    probabilities: np.ndarray

    @property
    def answer(self) -> int:
        """Number of the most probable class."""
        return int(self.probabilities.argmax())


def augment_image(model: LoadedModel, image: Any, seed: int = 0) -> tuple[AugmentedImage, ...]:
    """The image as it is, then four versions of each kind, each with the network's answer. Crops are drawn at random
    with `seed`; all else is fixed. What comes in from outside has the mean colour.

    `image`: RGB uint8 (H, W, 3) or PIL. Sources: Krizhevsky et al., NIPS 2012, section 4.1; He et al., CVPR 2016,
    section 4.2 (4 pixels of padding on CIFAR)."""
    pixels = model.receive(image)
    versions = [("", "as it is", pixels)]
    for kind, name, edit in _list_edits(*pixels.shape):
        versions.append((kind, name, _apply(pixels, edit, _mean_colour(model))))
    canvas = make_canvas(model, image)
    generator = np.random.default_rng(seed)
    room = [whole - part for whole, part in zip(canvas.shape, pixels.shape[:2], strict=False)]
    for _ in range(4):
        top, left = (int(generator.integers(0, most + 1)) for most in room)
        part = canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        versions.append(("crop", f"crop at ({top}, {left})", part))
    answers = _predict(model, [one for *_, one in versions])
    return tuple(AugmentedImage(*version, answer) for version, answer in zip(versions, answers, strict=True))


def _list_edits(height: int, width: int, channels: int) -> list[tuple[str, str, Edit]]:
    """(kind, name, function) of all but the crops."""
    down, across = max(1, round(height * PADDED)), max(1, round(width * PADDED))
    edits: list[tuple[str, str, Edit]] = []
    for name, right, below in (
        (f"shift {across} px right", across, 0),
        (f"{across} px left", -across, 0),
        (f"{down} px down", 0, down),
        (f"{down} px up", 0, -down),
    ):
        edits.append(("shift", name, _affine(1, 0, 0, 1, right, below)))
    for degrees in (-30, -15, 15, 30):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        edits.append(("rotation", f"turn by {degrees:+d}°".replace("-", "−"), _affine(c, s, -s, c)))
    for name, x, y in (
        ("0.75 wide", 0.75, 1),
        ("1.33 wide", 4 / 3, 1),
        ("0.75 high", 1, 0.75),
        ("1.33 high", 1, 4 / 3),
    ):
        edits.append(("stretch", name, _affine(x, 0, 0, y)))
    for amount in (-0.4, -0.2, 0.2, 0.4):
        edits.append(("shear", f"shear {amount:+.1f}".replace("-", "−"), _affine(1, amount, 0, 1)))
    edits.append(("flip or turn", "mirrored", lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    for degrees in QUARTERS[1:]:
        edits.append(("flip or turn", f"turn by {degrees}°", _quarter(degrees)))
    edits += [
        ("change of colour", "0.5 × light", lambda picture: ImageEnhance.Brightness(picture).enhance(0.5)),
        ("change of colour", "1.5 × light", lambda picture: ImageEnhance.Brightness(picture).enhance(1.5)),
        ("change of colour", "0.4 × contrast", lambda picture: ImageEnhance.Contrast(picture).enhance(0.4)),
    ]
    if channels == 3:
        edits.append(("change of colour", "no colour", lambda picture: ImageEnhance.Color(picture).enhance(0.0)))
    else:
        edits.append(("change of colour", "2 × contrast", lambda picture: ImageEnhance.Contrast(picture).enhance(2.0)))
    return edits


def _affine(a: float, b: float, c: float, d: float, right: float = 0.0, down: float = 0.0) -> Edit:
    """x ↦ M (x − middle) + middle + shift with M = [[a, b], [c, d]]; rows count downwards."""

    def edit(picture: Image.Image) -> Image.Image:
        middle = np.array([picture.width / 2, picture.height / 2])
        inverse = np.linalg.inv(np.array([[a, b], [c, d]], float))
        offset = middle - inverse @ (middle + (right, down))
        rows = (*inverse[0], offset[0], *inverse[1], offset[1])
        return picture.transform(picture.size, Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR)

    return edit


def _quarter(degrees: int) -> Edit:
    def edit(picture: Image.Image) -> Image.Image:
        turned = picture.rotate(degrees, expand=True)
        return turned if turned.size == picture.size else turned.resize(picture.size)

    return edit


def _apply(pixels: np.ndarray, edit: Edit, colour: np.ndarray) -> np.ndarray:
    """Edit uint8 (H, W, C); pixels that come from outside take `colour` (C,)."""
    channels = [pixels] if pixels.shape[2] == 3 else [pixels[:, :, c] for c in range(pixels.shape[2])]
    parts = [np.asarray(edit(Image.fromarray(part))) for part in channels]
    found = parts[0] if pixels.shape[2] == 3 else np.stack(parts, 2)
    inside = np.asarray(edit(Image.fromarray(np.full(pixels.shape[:2], 255, np.uint8)))) if _moves(edit) else None
    if inside is None:
        return found
    share = inside[:, :, None] / 255  # bilinear: the border is part picture, part outside
    return np.clip(np.rint(found + (1 - share) * colour), 0, 255).astype(np.uint8)


def _moves(edit: Edit) -> bool:
    """Whether an edit brings pixels in from outside."""
    return edit.__qualname__.startswith("_affine")


def _mean_colour(model: LoadedModel) -> np.ndarray:
    """(C,) 0 … 255: what normalisation makes 0."""
    return np.array(model.preprocessing.mean) * 255


def make_canvas(model: LoadedModel, image: Any) -> np.ndarray:
    """uint8 (H', W', C), from which training cuts its crops: the scaled photograph where the network's preprocessing
    scales to more than it cuts out (256 for 224), else what the network receives, padded by an eighth of its side
    with the mean colour (4 pixels of 32)."""
    usual = model.preprocessing
    more = usual.side - max(usual.size)
    if more > 0:
        return replace(usual, size=(usual.size[0] + more, usual.size[1] + more)).receive(image)
    pixels = model.receive(image)
    down, across = (max(1, round(side * PADDED)) for side in pixels.shape[:2])
    shape = (pixels.shape[0] + 2 * down, pixels.shape[1] + 2 * across, pixels.shape[2])
    canvas = np.broadcast_to(np.rint(_mean_colour(model)).astype(np.uint8), shape).copy()
    canvas[down:-down, across:-across] = pixels
    return canvas


def ten_crops(model: LoadedModel, image: Any) -> tuple[AugmentedImage, ...]:
    """The four corners and the middle of `make_canvas`, then the same mirrored, each with the network's answer.
    Source: Krizhevsky et al., NIPS 2012, section 4.1."""
    canvas, (_, height, width) = make_canvas(model, image), model.input_size
    low, far = canvas.shape[0] - height, canvas.shape[1] - width
    places = {
        "top left": (0, 0),
        "top right": (0, far),
        "bottom left": (low, 0),
        "bottom right": (low, far),
        "middle": (low // 2, far // 2),
    }
    crops = [(name, canvas[top : top + height, left : left + width]) for name, (top, left) in places.items()]
    crops += [(f"{name}, mirrored", part[:, ::-1]) for name, part in crops]
    answers = _predict(model, [part for _, part in crops])
    return tuple(AugmentedImage("crop", *crop, answer) for crop, answer in zip(crops, answers, strict=True))


def several_scales(model: LoadedModel, image: Any) -> tuple[AugmentedImage, ...]:
    """The image at SCALES, in proportion to the network's own input, each as a whole, with the network's answer. A
    network that takes one size only leaves out the others: see `studies.pooling.global_pooling.input_sizes`.

    Raises BadInput where not even two sizes run. Source: He et al., CVPR 2016, section 3.4, which averages the
    fully-convolutional form at these five scales."""
    usual, found = model.preprocessing, []
    for scale in SCALES:
        side = round(max(usual.size) * scale / SCALES[0])
        resized = replace(usual, size=(side, side), resize=side)
        pixels = resized.receive(image)
        try:
            answer = _predict(model, [pixels])[0]
        except (RuntimeError, BadInput):  # of the layers: shapes that do not meet
            continue
        found.append(AugmentedImage("scale", f"{side} px", pixels, answer))
    if len(found) < 2:
        raise BadInput(
            f"{model.name} takes one input size only, because a dense layer reads its last map place by place. Choose "
            "a network that ends in global pooling, e.g. resnet20_cifar."
        )
    return tuple(found)


def mean_answer(images: Sequence[AugmentedImage]) -> np.ndarray:
    """(classes,) mean of their probabilities."""
    return np.mean([one.probabilities for one in images], axis=0)


@dataclass(frozen=True, slots=True, repr=False)
class TurnedAnswers(Summarised):
    """The answers to an image that is turned. `degrees` (A,), counter-clockwise; `probabilities` (A, classes);
    `mirrored` (classes,): of the mirrored image, not turned. `quarters`: the images at 0°, 90°, 180° and 270°, and
    the mirrored one, which are exact: no pixel is interpolated."""

    degrees: np.ndarray
    probabilities: np.ndarray
    mirrored: np.ndarray
    quarters: tuple[AugmentedImage, ...]


def turn_image(model: LoadedModel, image: Any, step: int = 15) -> TurnedAnswers:
    """Turn what the network receives by 0°, `step`, 2 · `step` … below 360°. At multiples of 90° of a square input no
    pixel is interpolated; elsewhere bilinear, and corners take the mean colour. Raises BadInput for a step that does
    not divide 90."""
    if step < 1 or 90 % step:
        raise BadInput(f"The step has to divide 90°, got {step}.")
    pixels, colour = model.receive(image), _mean_colour(model)
    degrees, versions = np.arange(0, 360, step), []
    for angle in degrees.tolist():
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        edit = _quarter(angle) if angle % 90 == 0 else _affine(c, s, -s, c)
        versions.append(_apply(pixels, edit, colour))
    versions.append(np.ascontiguousarray(pixels[:, ::-1]))
    answers = np.stack(_predict(model, versions))
    shown = [*(90 // step * turn for turn in range(4)), len(degrees)]
    names = [*(f"{angle}°" for angle in QUARTERS), "mirrored"]
    quarters = tuple(
        AugmentedImage("turn", name, versions[at], answers[at]) for name, at in zip(names, shown, strict=True)
    )
    return TurnedAnswers(degrees, answers[:-1], answers[-1], quarters)


def _predict(model: LoadedModel, versions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Probabilities of images as received, uint8 (H, W, C) each."""
    return list(model.predict(model.normalise(torch.from_numpy(np.stack(versions)))))
