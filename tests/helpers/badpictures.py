"""Pictures and archives as no camera writes them: `REFUSED` with the reason, `ODD` ones that must open all the same."""

import io
import struct
import warnings
import zipfile
import zlib

import numpy as np
from PIL import Image

GRAIN = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray | Image.Image = GRAIN, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def declared(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of a few bytes that says how large it is, and holds almost nothing."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def flipped(data: bytes, share: float = 0.5) -> bytes:
    place = int(len(data) * share)
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def gif(width: int, height: int, framed: bool = True) -> bytes:
    """A GIF of a few bytes that says how large its screen is."""
    whole = encoded(Image.new("L", (4, 4)), "GIF")
    screen = b"GIF89a" + struct.pack("<HH", width, height)
    return screen + (whole[10:] if framed else b"\0\0\0;")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG's start: its size, and then nothing."""
    whole = encoded(kind="JPEG")
    place = whole.index(b"\xff\xc0") + 5
    return whole[:place] + struct.pack(">HH", height, width) + whole[place + 4 :]


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as content:
        for name, data in entries.items():
            content.writestr(name, data)
    return file.getvalue()


def encrypted() -> bytes:
    """A zip whose entry says that it is encrypted, in both of its headers."""
    data = bytearray(archive({"a.png": encoded()}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    return bytes(data)


def symlink(target: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as content:
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        content.writestr(link, target)
    return file.getvalue()


REFUSED: dict[str, tuple[bytes, str]] = {  # name: (bytes, what is said)
    "zero bytes": (b"", r"is empty \(0 bytes\)"),
    "one byte": (b"\x89", "no image in a known format|holds text"),
    "text": (b"holiday in Italy, 2019\n", "holds text, not an image"),
    "web page": (b"<!DOCTYPE html><html><body>404</body></html>", "holds text, not an image"),
    "JSON": (b'{"image": "none"}', "holds text, not an image"),
    "script": (b"<script>alert(1)</script>", "holds text, not an image"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "SVG drawing.*as PNG"),
    "SVG with a prolog": (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg width="9e9" height="9e9"/>', "SVG drawing"),
    "SVG that reads a file": (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
        "SVG drawing",
    ),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(80), "HEIC photograph.*Save it as JPEG"),
    "HEIF sequence": (b"\0\0\0\x18ftypmsf1\0\0\0\0msf1heis" + bytes(80), "HEIC photograph"),
    "film": (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(80), "no image in a known format"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF document"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n/x (run) def\n", "holds text"),
    "program": (b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff" + bytes(60), "no image in a known format"),
    "zip": (archive({"a.png": encoded()}), "ZIP archive, not an image"),
    "Photoshop": (b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x10\0\0\0\x10\0\x08\0\x03" + bytes(60), "no image in a known"),
    "noise": (bytes(range(256)) * 4, "no image in a known format"),
    "PNG of 400 megapixels": (declared(20_000, 20_000), "400 million pixels; at most 120"),
    "PNG of 121 megapixels": (declared(11_000, 11_000), "121 million pixels; at most 120"),
    "PNG wider than the earth": (declared(2**31 - 1, 2**31 - 1), "million pixels|known format"),
    "PNG of one endless line": (declared(200_000_000, 1), "200 million pixels"),
    "16-bit bomb": (declared(16_000, 16_000, 16, 6), "256 million pixels"),
    "GIF bomb": (gif(65_535, 65_535), "million pixels"),
    "JPEG bomb": (jpeg(65_500, 65_500), "million pixels"),
    "BMP bomb": (bmp(100_000, 100_000), "million pixels"),
    "PNG without width": (declared(0, 5), "known format|no pixels|damaged"),
    "GIF without a frame": (gif(10, 10, framed=False), "damaged|known format"),
    "truncated JPEG": (encoded(kind="JPEG")[:700], "damaged or incomplete JPEG"),
    "truncated PNG": (encoded()[:2000], "damaged or incomplete PNG"),
    "truncated WebP": (encoded(kind="WEBP")[:300], "damaged|known format"),
    "truncated TIFF": (encoded(kind="TIFF")[:600], "damaged|known format"),
    "PNG cut within its header": (encoded()[:20], "known format|damaged"),
    "PNG with a changed byte": (flipped(encoded()), "damaged or incomplete PNG"),
}


def palette() -> Image.Image:
    picture = Image.new("P", (30, 20))
    picture.putpalette([200, 10, 20, 0, 0, 0])
    return picture


def frames(kind: str) -> bytes:
    shown = [Image.new("RGB", (30, 20), colour) for colour in ("red", "lime", "blue")]
    return encoded(shown[0], kind, save_all=True, append_images=shown[1:])


ODD: dict[str, tuple[bytes, tuple[int, int]]] = {  # name: (bytes, width and height of what is opened)
    "animated GIF": (frames("GIF"), (30, 20)),
    "animated PNG": (frames("PNG"), (30, 20)),
    "animated WebP": (frames("WEBP"), (30, 20)),
    "pages of a TIFF": (frames("TIFF"), (30, 20)),
    "CMYK JPEG": (encoded(Image.new("CMYK", (30, 20), (0, 255, 255, 0)), "JPEG"), (30, 20)),
    "16-bit PNG": (encoded(np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)), (30, 20)),
    "float TIFF with NaN": (
        encoded(np.where(np.eye(20, 30) > 0, np.nan, 0.5).astype(np.float32), "TIFF"),
        (30, 20),
    ),
    "float TIFF of NaN alone": (encoded(np.full((20, 30), np.nan, np.float32), "TIFF"), (30, 20)),
    "palette with transparency": (encoded(palette(), transparency=1), (30, 20)),
    "gray with transparency": (encoded(Image.new("LA", (30, 20), (90, 0))), (30, 20)),
    "black and white": (encoded(Image.new("1", (30, 20), 1)), (30, 20)),
    "1×1": (encoded(np.full((1, 1, 3), 7, np.uint8)), (1, 1)),
    "1×600": (encoded(GRAIN[:1].repeat(10, 1)), (600, 1)),
    "600×1": (encoded(GRAIN[:, :1].repeat(15, 0)), (1, 600)),
    "JPEG with broken EXIF": (encoded(kind="JPEG", exif=b"Exif\0\0garbage"), (60, 40)),
    "trailing bytes": (encoded() + b"<script>alert(1)</script>" * 9, (60, 40)),
}

ZIPS: dict[str, tuple[bytes, str]] = {  # name: (bytes, what is said: nothing of it can be used)
    "cut short": (archive({"a.png": encoded()})[:-30], "no readable zip archive.*Pack it again"),
    "nothing in it": (archive({}), "holds no images"),
    "no images in it": (archive({"read.me": b"x", "notes.txt": b"y"}), "holds no images"),
    "a zip in a zip": (archive({"inner.zip": archive({"a.png": encoded()})}), "holds no images"),
    "paths that lead out": (archive({"../../up.png": encoded()}), "holds no images.*leads out of the archive"),
    "an absolute path": (archive({"/etc/cron.d/x.png": encoded()}), "leads out of the archive"),
    "a Windows path": (archive({"C:\\x.png": encoded(), "..\\..\\y.png": encoded()}), "leads out of the archive"),
    "encrypted": (encrypted(), "encrypted. Pack it without a password"),
    "another compression": (archive({"a.png": encoded()}, zipfile.ZIP_LZMA), "neither stored nor deflated"),
    "an entry that is a bomb": (archive({"a.ppm": b"P6 9000 9000 255\n" + bytes(4 << 20)}), "more than 150 times"),
}
