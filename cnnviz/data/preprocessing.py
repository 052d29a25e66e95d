"""Preprocessing of an image for a network: resize, centre crop, channels, normalisation.

The geometry is torchvision's classification preset (resize of the short side, bilinear with
antialiasing, centre crop), reimplemented on Pillow alone so that small networks need no torchvision.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cnnviz.data.images import find_transpose, to_rgb
from cnnviz.errors import BadInput

if TYPE_CHECKING:
    import torch

    from cnnviz.data.corpus import Corpus

LONGEST = 16  # times its short side: of a longer image only the middle is scaled
_LARGEST = 2.0  # of mean and std: those of pixels in 0..1 are below 1
_PIXELS = 16.0  # values from 0 to beyond this are no normalised image
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
MNIST_MEAN, MNIST_STD = (0.1307,), (0.3081,)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes a network's input.

    `size`: (H, W) in pixels that the network receives. `resize`: the short side in pixels before the
    centre crop; None scales the short side to the crop. `mean`, `std`: per channel, of values in 0..1;
    their length is the number of channels (1 = luminance, 3 = RGB). `interpolation`: of the resize, a key
    of RESAMPLING.
    """

    size: tuple[int, int]
    resize: int | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.interpolation not in RESAMPLING:
            raise BadInput(f"interpolation must be {' or '.join(RESAMPLING)}, got {self.interpolation!r}.")
        if len(self.mean) != len(self.std) or not all(s > 0 for s in self.std):
            raise BadInput(f"mean and std need one value a channel and std > 0, got {self.mean}, {self.std}.")
        if not all(map(math.isfinite, (*self.mean, *self.std))):
            raise BadInput(f"mean and std must be numbers, got {self.mean}, {self.std}.")
        if max(*map(abs, self.mean), *self.std) > _LARGEST:
            raise BadInput(
                f"mean and std are of pixels in 0..1, got {self.mean}, {self.std}. Of pixels in 0..255, divide both "
                "by 255."
            )

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def side(self) -> int:
        """The short side in pixels that images are scaled to before the crop."""
        return self.resize or max(self.size)

    def received_from(self, corpus: Corpus, index: int) -> np.ndarray:
        """`receive` of image `index` of a corpus, uint8 (H, W, channels), large JPEGs decoded at a reduced scale.

        Indexing a corpus and cutting patches out of it again both use this, so that they see the same
        pixels. Beside `receive(corpus.image(index))` they differ for JPEGs of 2 × images.LARGE and more on the
        short side alone, by less than 1 of 255 on average. Raises as `Corpus.image` does."""
        return self.receive(corpus.image(index, self.side))

    def receive(self, image: np.ndarray | Image.Image) -> np.ndarray:
        """The crop the network sees, before normalisation: uint8 (H, W, channels).

        `image`: RGB uint8 (H, W, 3), gray uint8 (H, W), or a PIL image of any mode, turned upright by its
        EXIF orientation. Networks whose input is neither gray nor RGB get the luminance repeated in each channel."""
        picture, mode = _as_pil(image), "RGB" if self.channels == 3 else "L"
        picture = picture if picture.mode == mode else picture.convert(mode)
        resampling = RESAMPLING[self.interpolation]
        picture = _resize_short_side(_middle(picture, self.size), self.side, resampling)
        pixels = np.asarray(_centre_crop(picture, self.size, resampling))
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[:, :, None], self.channels, axis=2)
        return np.array(pixels)  # a copy: Pillow's own buffer is read only

    def normalise(self, received: torch.Tensor) -> torch.Tensor:
        """uint8 (…, H, W, C) → float32 (…, C, H, W): value / 255, minus mean, over std."""
        return self.normalise_channels_last(received).contiguous()

    def normalise_channels_last(self, received: torch.Tensor) -> torch.Tensor:
        """`normalise`, in the memory layout that the pixels have: channels_last for a batch, without a copy.

        Row by row, since arithmetic on a last dimension of three is four times slower."""
        import torch

        *outer, width, channels = received.shape
        rows = received.reshape(*outer, width * channels).to(torch.float32).div_(255.0)
        mean, std = (torch.tensor(v, device=rows.device).repeat(width) for v in (self.mean, self.std))
        return rows.sub_(mean).div_(std).view(*outer, width, channels).movedim(-1, -3)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `Preprocessing.from_dict` reads them back. Bilinear is left out:
        files and fingerprints from before there was a choice stay valid."""
        values = asdict(self)
        if self.interpolation == "bilinear":
            del values["interpolation"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocessing:
        """Inverse of `as_dict`. Raises BadInput if a field is missing or of the wrong kind."""
        try:
            height, width = values["size"]
            resize = values.get("resize")
            return cls(
                (int(height), int(width)),
                int(resize) if resize else None,
                tuple(float(v) for v in values["mean"]),
                tuple(float(v) for v in values["std"]),
                str(values.get("interpolation") or "bilinear"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"Preprocessing needs size [H, W], mean and std, got {values!r} ({error}).") from None


def check_normalised(images: torch.Tensor, expected: Preprocessing, name: str) -> torch.Tensor:
    """`images` as (N, C, H, W): normalised tensors (C, H, W) or (N, C, H, W) of any float type.

    Raises BadInput, with the remedy, for what can only be a mistake: integers, which are pixels that nobody has
    normalised, pixels in 0..255, NaN, and other shapes."""
    remedy = "Give pixels as uint8 arrays (H, W, 3), or normalise: (pixels / 255 - mean) / std."
    if images.is_complex() or not images.is_floating_point():
        raise BadInput(f"{name} expects normalised float tensors, got {images.dtype}. {remedy}")
    ready = images if images.ndim == 4 else images[None]
    if ready.ndim != 4 or ready.shape[1] != expected.channels or not ready.numel():
        raise BadInput(f"{name} expects tensors (N, {expected.channels}, H, W), got {tuple(images.shape)}.")
    low, high = (float(end) for end in ready.detach().aminmax())
    if math.isnan(low) or math.isnan(high) or math.isinf(low) or math.isinf(high):
        raise BadInput(f"The tensor holds NaN or infinite values. {remedy}")
    brightest = max((1 - mean) / std for mean, std in zip(expected.mean, expected.std, strict=True))
    if low >= 0 and high > max(_PIXELS, 4 * brightest):
        raise BadInput(f"The tensor's values go from {low:g} to {high:g}: pixels that are not normalised. {remedy}")
    return ready


def _as_pil(image: np.ndarray | Image.Image) -> Image.Image:
    if isinstance(image, Image.Image):
        if not min(image.size):
            raise BadInput(f"The image has no pixels, its size is {image.width}×{image.height}. Give another one.")
        ready = image.mode in ("RGB", "L") and find_transpose(image) is None
        return image if ready else to_rgb(image)  # Pillow clips 16 bits, ignores alpha and the camera's orientation
    array = np.asarray(image)
    colours = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or colours not in (1, 3) or not array.size:
        if array.ndim == 3 and array.dtype == np.uint8 and array.shape[0] in (1, 3):
            remedy = "Its channels come first: move them with `.transpose(1, 2, 0)`."
        else:
            remedy = "Scale to 0..255 and convert with `.astype('uint8')`."
        raise BadInput(
            "Expected a PIL image or uint8 pixels of shape (H, W, 3) or (H, W), "
            f"got {array.dtype} {array.shape}. {remedy}"
        )
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _middle(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture that is far longer than wide: 1×5000 pixels would take a gigabyte when scaled, of which
    the crop keeps a square."""
    width, height = picture.size
    most = LONGEST * min(width, height) * max(size) // min(size)
    left, top = max(0, (width - most) // 2), max(0, (height - most) // 2)
    return picture.crop((left, top, width - left, height - top)) if left or top else picture


def _resize_short_side(picture: Image.Image, side: int, resampling: Image.Resampling) -> Image.Image:
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    if short == side:
        return picture
    other = int(side * long / short)
    target = (side, other) if width <= height else (other, side)
    return picture.resize(target, resampling)


def _centre_crop(picture: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    height, width = size
    if picture.width < width or picture.height < height:  # non-square inputs: pad is never right, scale is
        scale = max(width / picture.width, height / picture.height)
        enlarged = (max(width, round(picture.width * scale)), max(height, round(picture.height * scale)))
        picture = picture.resize(enlarged, resampling)
    top, left = round((picture.height - height) / 2.0), round((picture.width - width) / 2.0)
    return picture.crop((left, top, left + width, top + height))
