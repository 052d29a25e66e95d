"""Open an image file safely: from any file of a user to upright RGB pixels of a bounded size.

The size is read from the header and checked before a single pixel is decoded. Other decoders (OpenCV
among them) check nothing: they may be given what comes out of here, never a file.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from functools import cache
from io import BytesIO
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

import numpy as np
from PIL import Image

from cnnviz.errors import BadImage, BadInput
from cnnviz.store import is_there

MAX_PIXELS = 120_000_000  # of the file; Pillow itself refuses above 179 million
MAX_BYTES = 1 << 30  # of the file
MAX_SIDE = 4096  # long side of the decoded image, pixels
LARGE = 1024  # short side, pixels, that a photograph keeps however small the picture that will be made of it
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
SUFFIXES = frozenset(".jpg .jpeg .png .bmp .gif .webp .tif .tiff .ppm .pgm".split())

_UPRIGHT = {  # EXIF orientation → what turns the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

# Sizes are checked here against a cap of our own. `catch_warnings` would do it in one place only, but it
# is not thread-safe, and images are read by many threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_image(source: bytes | str | Path | BinaryIO, max_side: int = MAX_SIDE, side: int | None = None) -> Image.Image:
    """An upright RGB image whose long side is at most `max_side` pixels.

    `source`: a file's bytes, its path, or an open binary file. The first frame of an animation; EXIF
    orientation applied; transparency on white; 16-bit gray divided by 257; floats and wider integers
    spread from their minimum to their maximum. Larger images are reduced, JPEGs already while decoding.
    `side`: the short side, in pixels, that the image will be scaled to. A JPEG is then decoded at 1/2, 1/4 or
    1/8 of its size (libjpeg's DCT scaling) as long as its short side stays at least 2 × `side` and LARGE;
    any other image is the same with and without it. None decodes in full. Colour profiles are not applied, and one
    that is damaged or too large costs nothing but itself.
    Raises BadImage for what is missing, empty, damaged, no image, or above MAX_PIXELS or MAX_BYTES;
    BadInput if max_side or side < 1."""
    if max_side < 1 or (side is not None and side < 1):
        raise BadInput(f"max_side and side must be at least 1 pixel, got {max_side} and {side}.")
    what, file = _open(source)
    with file:
        try:
            rgb, orientation = _decode(file, what, max_side, side)
        except BadImage:
            file.seek(0)
            if (lean := drop_profiles(file.read())) is None:
                raise
            rgb, orientation = _decode(BytesIO(lean), what, max_side, side)
    if max(rgb.size) > max_side:
        rgb = rgb.resize(_fit(rgb.size, max_side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def _decode(file: BinaryIO, what: str, max_side: int, side: int | None) -> tuple[Image.Image, int]:
    """(RGB pixels, perhaps reduced; the EXIF orientation)."""
    picture = _read_header(file, what)
    try:
        picture.draft(None, _draft_size(picture.size, max_side, side))
        picture.load()
        orientation = _read_orientation(picture)
        return _convert_to_rgb(_halve(picture, max_side)), orientation
    except Exception as error:  # on damaged data decoders raise anything, from OSError to KeyError
        raise BadImage(
            f"{what} is a damaged or incomplete {picture.format} file ({error}). "
            "Copy or download it again, or save it anew as JPEG or PNG."
        ) from error


def drop_profiles(data: bytes) -> bytes | None:
    """A PNG or JPEG file without its colour profile and texts, which its pixels do not need and for whose faults Pillow
    refuses all of it; None for another file, and where there are none.

    Sources: PNG, third edition, section 11.3 (iCCP, tEXt, zTXt, iTXt); ICC.1:2022, annex B.4 (APP2)."""
    png = data.startswith(b"\x89PNG\r\n\x1a\n")
    if not png and not data.startswith(b"\xff\xd8"):
        return None
    kept, at = [data[: 8 if png else 2]], 8 if png else 2
    while at + 4 <= len(data):
        if png:
            kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4])
            unneeded = kind in (b"iCCP", b"tEXt", b"zTXt", b"iTXt")
        else:
            if data[at] != 0xFF or data[at + 1] == 0xDA:  # pixels begin
                break
            end, unneeded = at + 2 + int.from_bytes(data[at + 2 : at + 4]), data[at + 1] == 0xE2
        if not unneeded:
            kept.append(data[at:end])
        at = end
    kept.append(data[at:])
    lean = b"".join(kept)
    return lean if len(lean) < len(data) else None


def to_rgb(picture: Image.Image) -> Image.Image:
    """A PIL image of any mode as RGB, upright by its EXIF orientation, without metadata, by the rules of `open_image`;
    always a copy."""
    turn = find_transpose(picture)
    rgb = _convert_to_rgb(picture)
    return rgb if turn is None else rgb.transpose(turn)


def find_transpose(picture: Image.Image) -> Image.Transpose | None:
    """What turns a PIL image upright that still carries its EXIF orientation, as one that was just opened does; None
    where nothing is to be turned."""
    picture.load()  # Pillow turns TIFF files itself, and forgets their orientation, while it decodes them
    return _UPRIGHT.get(_read_orientation(picture))


def _convert_to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        rgb = Image.fromarray(_sixteen_to_eight(np.asarray(picture))).convert("RGB")
    elif picture.mode in ("I", "F"):
        rgb = Image.fromarray(_stretch(np.asarray(picture))).convert("RGB")
    elif picture.has_transparency_data:
        layer = picture if picture.mode == "RGBA" else picture.convert("RGBA")  # no copy of a large one
        rgb = Image.new("RGB", picture.size, "white")
        rgb.paste(layer, mask=layer.getchannel("A"))
    else:
        rgb = picture.convert("RGB")
    rgb.info = {}  # an EXIF orientation left here would be applied twice
    return rgb


def to_uint8(image: np.ndarray | Image.Image) -> np.ndarray:
    """(H, W, 3) uint8, contiguous, of a PIL image of any mode, which is turned upright, or of uint8 pixels (H, W),
    (H, W, 1 | 3 | 4).

    Raises BadInput for other arrays: their range would have to be guessed."""
    if isinstance(image, Image.Image):
        return np.array(to_rgb(image))
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    fits = pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4) and pixels.size > 0
    if pixels.dtype != np.uint8 or not fits:
        raise BadInput(
            f"Expected a PIL image or uint8 pixels of shape (H, W, 3), (H, W, 4) or (H, W), "
            f"got {pixels.dtype} {np.shape(image)}. Scale to 0..255 and convert with `.astype('uint8')`."
        )
    if pixels.shape[2] == 4:
        return np.array(to_rgb(Image.fromarray(pixels)))
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def image_sha256(data: bytes) -> str:
    """sha256, 64 hex digits, of a file's bytes: the key under which an upload is cached."""
    return hashlib.sha256(data).hexdigest()


def _open(source: bytes | str | Path | BinaryIO) -> tuple[str, BinaryIO]:
    """(what to call it in messages, an open file); refuses what is missing or too large."""
    file: BinaryIO
    if isinstance(source, str | Path):
        path = Path(source)
        try:
            known = path.stat()
        except (OSError, ValueError):
            known = None
        if known is None or not S_ISREG(known.st_mode):  # a pipe would wait for ever
            fault = "is a folder, not a file" if is_there(path) else "does not exist or is not a file"
            raise BadImage(f"{str(path)[:200]!r} {fault}. Give the path of an image file.")
        try:
            file, what, size = path.open("rb"), f"File {path.name!r}", known.st_size
        except OSError as error:
            raise BadImage(f"File {path.name!r} cannot be read: {error.strerror}.") from error
    elif isinstance(source, bytes | bytearray | memoryview):
        file, what, size = BytesIO(source), "The image", len(source)
    elif hasattr(source, "read"):
        data = source.read(MAX_BYTES + 1)
        file, what, size = BytesIO(data), "The image", len(data)
    else:
        raise BadInput(f"Expected bytes, a path or an open binary file, got {type(source).__name__}.")
    if size > MAX_BYTES:
        file.close()
        raise BadImage(f"{what} is larger than {MAX_BYTES >> 20} MiB. Save it as JPEG or make it smaller.")
    return what, file


@cache
def _formats() -> list[str]:
    """Decoders that are allowed: not those which start other programs, such as EPS."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _read_header(file: BinaryIO, what: str) -> Image.Image:
    """The image as yet undecoded, its size checked."""
    head = file.read(512)
    file.seek(0)
    try:
        picture = Image.open(file, formats=_formats())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.search(r"\d+", str(error))
        raise BadImage(_too_large(what, f"{int(pixels[0]) / 1e6:,.0f}" if pixels else "over 179")) from None
    except Exception as error:
        raise BadImage(f"{what} {_describe_bytes(head)}") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadImage(_too_large(what, f"{width} × {height} = {width * height / 1e6:,.0f}"))
    if min(width, height) < 1:
        raise BadImage(f"{what} has no pixels ({width} × {height}).")
    return picture


def _too_large(what: str, pixels: str) -> str:
    return (
        f"{what} has {pixels} million pixels; at most {MAX_PIXELS // 10**6} million are opened. "
        "Make it smaller with an image editor first."
    )


def _describe_bytes(head: bytes) -> str:
    """What a file is that no decoder knows, and what to do about it."""
    if not head:
        return "is empty (0 bytes). Copy or download it again."
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml")) and b"svg" in start:
        return "is an SVG drawing, which has no pixels. Export it as PNG."
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return "is a HEIC photograph, whose decoder is not part of Pillow. Save it as JPEG or PNG."
    if head[4:12] == b"ftypavif":
        return "is an AVIF image, and this Pillow was built without its decoder. Save it as JPEG or PNG."
    if head.startswith(b"PK\x03\x04"):
        return "is a ZIP archive, not an image. Open it as a corpus, alone, or unpack it."
    if head.startswith(b"%PDF"):
        return "is a PDF document, not an image. Export the page as PNG."
    if b"\0" not in head and sum(byte >= 32 or byte in b"\t\r\n" for byte in head) == len(head):
        return f"holds text, not an image (it begins with {head[:20]!r}). Choose a JPEG or PNG file."
    return "is no image in a known format (JPEG, PNG, WebP, GIF, BMP, TIFF, PPM), or its header is damaged."


def _read_orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata must not cost the picture
        return 1


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) with the long side at most `side`, same shape, never below one pixel."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _draft_size(size: tuple[int, int], max_side: int, side: int | None) -> tuple[int, int]:
    """The least (width, height) that a decoder has to give."""
    large_enough = _fit(size, max_side)
    factor = 1 if side is None else min(size) // max(2 * side, LARGE)
    return large_enough if factor < 2 else min(large_enough, (size[0] // factor, size[1] // factor))


def _halve(picture: Image.Image, side: int) -> Image.Image:
    """Reduced by a whole factor if it is at least twice too large: half the memory of a copy in full."""
    factor = max(picture.size) // side
    opaque = picture.mode in ("RGB", "L", "CMYK") and not picture.has_transparency_data
    return picture.reduce(factor) if factor > 1 and opaque else picture


def _sixteen_to_eight(values: np.ndarray) -> np.ndarray:
    """0..65535 → 0..255, rounded: 65535 = 255 · 257."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _stretch(values: np.ndarray) -> np.ndarray:
    """Minimum → 0, maximum → 255; NaN and infinities, and an image of one value, → 0."""
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = (np.where(finite, values, low).astype(np.float64) - low) * (255.0 / (high - low))
    return np.rint(scaled).astype(np.uint8)
