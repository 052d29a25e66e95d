"""Every kind of file a user may upload: what comes out is upright RGB, or an error that says what to do."""

import struct
import threading
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cnnviz.data.images import MAX_PIXELS, image_sha256, open_image, to_rgb, to_uint8
from cnnviz.errors import BadImage, BadInput


def encoded(picture, kind="PNG", **options):
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def png(width, height, bits=8, colour=2, data=b""):
    """A PNG written by hand, so that its header may lie."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_an_rgb_png_comes_back_pixel_for_pixel_from_bytes_path_and_file(tmp_path):
    pixels = noise(7, 5)
    data = encoded(Image.fromarray(pixels))
    (tmp_path / "a.png").write_bytes(data)
    for source in (data, tmp_path / "a.png", str(tmp_path / "a.png"), BytesIO(data)):
        picture = open_image(source)
        assert picture.mode == "RGB" and type(picture) is Image.Image
        np.testing.assert_array_equal(np.asarray(picture), pixels)


# The stored pixels that an upright image must have for each orientation (EXIF 2.32, section 4.6.5).
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[:, ::-1],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_all_eight_exif_orientations_are_turned_upright_once(orientation, kind):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :8], upright[8:, :8], upright[:8, 24:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    picture = open_image(encoded(stored, kind, exif=exif, **options))
    assert picture.size == (32, 16)
    np.testing.assert_allclose(np.asarray(picture, int), upright, atol=12 if kind == "JPEG" else 0)
    assert not picture.getexif()


def test_sixteen_bit_gray_is_divided_by_257_and_not_clipped():
    values = np.array([[0, 257, 256, 32768, 65535]], np.uint16)
    expected = [[round(int(v) / 257) for v in values[0]]]
    for kind in ("PNG", "TIFF"):
        picture = open_image(encoded(Image.fromarray(values), kind))
        np.testing.assert_array_equal(np.asarray(picture)[..., 0], expected)
    big_endian = BytesIO()
    Image.frombytes("I;16B", (5, 1), values.astype(">u2").tobytes()).save(big_endian, "TIFF")
    np.testing.assert_array_equal(np.asarray(open_image(big_endian.getvalue()))[..., 1], expected)


def test_a_sixteen_bit_pgm_uses_its_full_range():
    data = b"P5 3 1 65535\n" + np.array([0, 32896, 65535], ">u2").tobytes()
    np.testing.assert_array_equal(np.asarray(open_image(data))[0, :, 2], [0, 128, 255])


def test_sixteen_bit_colour_keeps_its_high_bytes():
    row = np.array([[65535, 0, 32768]], ">u2").tobytes()
    assert open_image(png(1, 1, bits=16, data=b"\0" + row)).getpixel((0, 0)) == (255, 0, 128)


def test_floats_and_wide_integers_are_spread_from_minimum_to_maximum():
    for values in (np.array([[-1.0, 0.0, 1.0]], np.float32), np.array([[-70000, 0, 70000]], np.int32)):
        picture = open_image(encoded(Image.fromarray(values), "TIFF"))
        np.testing.assert_array_equal(np.asarray(picture)[0, :, 0], [0, 128, 255])
    odd = np.array([[np.nan, np.inf, 2.0, 4.0]], np.float32)
    np.testing.assert_array_equal(to_uint8(Image.fromarray(odd))[0, :, 0], [0, 0, 0, 255])
    assert to_uint8(Image.fromarray(np.full((2, 2), 7.0, np.float32))).max() == 0


def test_transparency_lies_on_white():
    rgba = np.array([[[255, 0, 0, 255], [0, 0, 255, 0], [0, 0, 0, 128]]], np.uint8)
    pixels = np.asarray(open_image(encoded(Image.fromarray(rgba))))
    np.testing.assert_array_equal(pixels[0, :2], [[255, 0, 0], [255, 255, 255]])
    np.testing.assert_allclose(pixels[0, 2].astype(int), 255 * (1 - 128 / 255), atol=1)
    gray = Image.merge("LA", [Image.new("L", (2, 2), 10), Image.new("L", (2, 2), 0)])
    assert open_image(encoded(gray)).getpixel((1, 1)) == (255, 255, 255)


def test_a_palette_with_transparency_lies_on_white():
    picture = Image.new("P", (2, 1))
    picture.putpalette([200, 10, 20, 0, 0, 0])
    picture.putpixel((1, 0), 1)
    for kind in ("PNG", "GIF"):
        got = open_image(encoded(picture, kind, transparency=1))
        assert [got.getpixel((x, 0)) for x in (0, 1)] == [(200, 10, 20), (255, 255, 255)]
    soft = open_image(encoded(picture, "PNG", transparency=bytes([255, 0])))
    assert soft.getpixel((1, 0)) == (255, 255, 255)


def test_gray_bilevel_and_cmyk_become_rgb():
    assert open_image(encoded(Image.new("L", (3, 3), 90))).getpixel((0, 0)) == (90, 90, 90)
    assert open_image(encoded(Image.new("1", (3, 3), 1))).getpixel((0, 0)) == (255, 255, 255)
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow make red
    for kind, tolerance in (("TIFF", 0), ("JPEG", 8)):
        np.testing.assert_allclose(open_image(encoded(ink, kind)).getpixel((8, 8)), (255, 0, 0), atol=tolerance)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_frame_of_several_is_taken(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert open_image(data).getpixel((2, 2)) == (255, 0, 0)


def test_one_pixel_is_an_image():
    assert open_image(encoded(Image.new("RGB", (1, 1), "navy"))).getpixel((0, 0)) == (0, 0, 128)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "RGBA")])
def test_large_images_are_reduced_and_keep_their_shape(kind, mode):
    ramp = np.repeat(np.linspace(0, 255, 1000).astype(np.uint8)[None], 300, 0)
    picture = open_image(encoded(Image.fromarray(ramp).convert(mode), kind), max_side=100)
    assert picture.size == (100, 30)
    expected = ramp[0].reshape(100, 10).mean(1)
    np.testing.assert_allclose(np.asarray(picture)[15, 3:-3, 0], expected[3:-3], atol=3)
    assert open_image(encoded(Image.new("L", (5000, 1))), max_side=64).size == (64, 1)
    with pytest.raises(BadInput, match="at least 1"):
        open_image(b"", max_side=0)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # pytest drops our own filter
def test_a_bomb_is_refused_from_its_header():
    with pytest.raises(BadImage, match="400 million pixels; at most 120"):
        open_image(png(20000, 20000))
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(BadImage, match=f"{side} × {side} = 120 million"):
        open_image(png(side, side))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_files_are_refused_not_shown_half():
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        data = encoded(Image.fromarray(noise(64, 64)), kind)
        for keep in (len(data) // 2, 40, 9):
            with pytest.raises(BadImage, match="(?i)damaged|known format"):
                open_image(data[:keep])
    whole = bytearray(encoded(Image.fromarray(noise(64, 64))))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(BadImage, match="damaged"):
        open_image(bytes(whole))


BIG = np.random.default_rng(1).bytes(2_500_000)


def with_chunk(kind: bytes, body: bytes, fault: int = 0) -> tuple[bytes, bytes]:
    """(a PNG with a chunk before its pixels, the same without). `fault`: what its checksum is wrong by."""
    whole = encoded(Image.fromarray(noise(40, 50)), "PNG")
    checksum = zlib.crc32(kind + body) ^ fault
    chunk = len(body).to_bytes(4) + kind + body + checksum.to_bytes(4)
    return whole[:33] + chunk + whole[33:], whole


def with_segment(body: bytes) -> tuple[bytes, bytes]:
    """(a JPEG with an APP2 segment, the same without)."""
    whole = encoded(Image.fromarray(noise(40, 50)), "JPEG")
    return whole[:2] + b"\xff\xe2" + (2 + len(body)).to_bytes(2) + body + whole[2:], whole


@pytest.mark.parametrize(
    "both",
    [
        with_chunk(b"iCCP", b"p\0\0" + zlib.compress(b"x" * 400)),
        with_chunk(b"iCCP", b"p\0\0" + zlib.compress(BIG)),
        with_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(50_000_000))),
        with_chunk(b"iCCP", b"p\0\0no stream"),
        with_chunk(b"iCCP", b"p\0\7" + zlib.compress(b"x")),
        with_chunk(b"iCCP", b""),
        with_chunk(b"iCCP", b"p\0\0" + zlib.compress(b"x"), fault=1),
        with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000))),
        with_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(50_000_000))),
        with_segment(b"ICC_PROFILE\0"),
        with_segment(b"ICC_PROFILE\0\5\2abc"),
        with_segment(b"ICC_PROFILE\0\1\1" + BIG[:60_000]),
        with_segment(b""),
    ],
)
def test_a_profile_or_text_that_is_damaged_or_too_large_is_dropped_and_the_picture_stays(both):
    given, whole = both
    assert np.array_equal(np.asarray(open_image(given)), np.asarray(open_image(whole)))


def test_what_is_damaged_elsewhere_stays_refused_with_and_without_a_profile():
    given, _ = with_chunk(b"iCCP", b"p\0\0" + zlib.compress(BIG))
    for broken in (given[: len(given) - 2000], given[:40], b"\xff\xd8\xff\xe2", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(BadImage):
            open_image(broken)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello, this is no picture\n", "holds text"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG.*Export it as PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "HEIC.*Save it as JPEG or PNG"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04" + bytes(60), "ZIP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "holds text"),
        (bytes(range(256)), "no image in a known format"),
    ],
)
def test_what_is_no_image_is_named_with_what_to_do(tmp_path, data, says):
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with pytest.raises(BadImage, match=says) as raised:
        open_image(path)
    assert "'photo.png'" in str(raised.value) and str(tmp_path) not in str(raised.value)


def test_the_content_decides_not_the_suffix(tmp_path):
    (tmp_path / "really.png").write_bytes(encoded(Image.new("RGB", (8, 8), "red"), "JPEG"))
    assert open_image(tmp_path / "really.png").size == (8, 8)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(BadImage, match="does not exist"):
        open_image(tmp_path / "none.png")
    with pytest.raises(BadImage, match="is a folder"):
        open_image(tmp_path)
    with pytest.raises(BadInput, match="got int"):
        open_image(3)


def test_arrays_become_three_channels_and_other_ranges_are_refused():
    gray = noise(4, 6, 1)
    np.testing.assert_array_equal(to_uint8(gray), np.repeat(gray, 3, 2))
    np.testing.assert_array_equal(to_uint8(gray[:, :, 0]), np.repeat(gray, 3, 2))
    clear = np.zeros((2, 2, 4), np.uint8)
    np.testing.assert_array_equal(to_uint8(clear), np.full((2, 2, 3), 255))
    for wrong in (
        np.zeros((4, 4, 3), np.float32),
        np.zeros((2, 2, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ):
        with pytest.raises(BadInput, match="uint8"):
            to_uint8(wrong)


def test_to_rgb_never_shares_pixels_with_its_argument():
    picture = Image.new("RGB", (2, 2), "red")
    to_rgb(picture).putpixel((0, 0), (0, 0, 0))
    assert picture.getpixel((0, 0)) == (255, 0, 0)


def test_sha256_is_the_published_value():
    assert image_sha256(b"abc").startswith("ba7816bf8f01cfea414140de5dae2223")  # FIPS 180-4, example


def test_many_threads_read_the_same_bytes():
    pixels, wrong = noise(64, 64), []
    data = encoded(Image.fromarray(pixels))

    def read():
        for _ in range(20):
            if not np.array_equal(np.asarray(open_image(data)), pixels):
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind, mode", [("PNG", "RGB"), ("PNG", "L"), ("PNG", "RGBA"), ("TIFF", "RGB"), ("JPEG", "L")])
def test_an_opened_pil_image_is_turned_upright_once_by_its_orientation(orientation, kind, mode):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :8], upright[8:, :8] = 255, 128
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).convert(mode)
    opened = Image.open(BytesIO(encoded(stored, kind, exif=exif)))
    once = to_rgb(opened)
    for found in (once, to_rgb(once), Image.fromarray(to_uint8(once))):
        assert found.size == (32, 16)
        np.testing.assert_allclose(np.asarray(found, int), upright, atol=12 if kind == "JPEG" else 0)
