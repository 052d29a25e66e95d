"""Bars of probabilities, and numbers in words: counts, values, shares, and sentences of a network and its maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnnviz.figures.base.colors import INK, signed_palette
from cnnviz.figures.base.encode import rgb_png
from cnnviz.wording import plural

_BAR, _TRACK = (51, 99, 141), (236, 238, 241)


def signed_tiles(tiles: np.ndarray) -> np.ndarray:
    """Tiles (F, h, w, 3) as they are; one-channel tiles (F, h, w, 1) in blue–white–red, 128 = white."""
    return tiles if tiles.shape[3] == 3 else signed_palette()[tiles[..., 0]]


def bars_png(shares: list[tuple[str, float]], width: int = 760) -> bytes:
    """Horizontal bars for (name, probability in 0..1), as PNG at twice the displayed size."""
    font, row = ImageFont.load_default(size=30), 92
    image = Image.new("RGB", (width, row * len(shares)), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for number, (name, share) in enumerate(shares):
        top = number * row
        draw.text((0, top + 4), _truncate(name, font, width - 130), fill=INK, font=font)
        percent = f"{share * 100:.1f} %"
        draw.text((width - font.getlength(percent) - 2, top + 4), percent, fill=INK, font=font)
        draw.rectangle((0, top + 50, width - 1, top + 72), fill=_TRACK)
        if share > 0:
            draw.rectangle((0, top + 50, max(1, round(share * (width - 1))), top + 72), fill=_BAR)
    return rgb_png(np.asarray(image))


def _truncate(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"


def count_text(number: float) -> str:
    """1249424 → "1.25 M"."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:  # 999,999 is 1 M, not 1e+03 k
            return f"{number / size:.3g} {unit}"
    return f"{number:g}"


def value_text(value: float) -> str:
    """An activation with three sensible digits: 0.0123, 4.56, 1360."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share_text(share: float) -> str:
    """0.0816 → "8.2 %", 0.314 → "31 %": two digits."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def preprocessing_sentence(values: dict[str, Any]) -> str:
    """What happened to the photograph, in one sentence."""
    height, width = values["size"]
    resize = values["resize"] or max(height, width)
    kind = "luminance" if len(values["mean"]) == 1 else "RGB"
    mean, std = (", ".join(f"{v:.3f}" for v in values[name]) for name in ("mean", "std"))
    return (
        f"{height}×{width} pixels, {kind}: the short side is resized to {resize}, the centre cut out, then "
        f"(value − mean) / std with mean {mean} and std {std}."
    )


def network_sentence(name: str, facts: dict[str, Any], notes: dict[str, Any]) -> str:
    """Size, source and accuracy of a network."""
    measured = notes.get("accuracy")
    scored = ""
    measured = measured if isinstance(measured, dict) else {}
    share, count = measured.get("test"), measured.get("test_images")
    if isinstance(share, int | float):  # a file may say anything there
        scored = f" Accuracy {share * 100:.1f} % on {count if isinstance(count, int) else '?'} test images."
    return (
        f"{facts['title']} (`{name}`): {plural(count_text(facts['parameters']), 'parameter')}, "
        f"{plural(facts['classes'], 'class')}."
        f"{scored} Source: {facts['source']}."
    )


def channel_name(channel: int, channels: int) -> str:
    """ "Red", "Green", "Blue" for RGB inputs, else "Channel 3"."""
    return ("Red", "Green", "Blue")[channel] if channels == 3 else f"Channel {channel}"


def range_sentence(text: str, values: np.ndarray) -> str:
    """`text` with the range of the values behind it."""
    return f"{text}; from {value_text(values.min())} to {value_text(values.max())}."


def kernel_sentence(weights: np.ndarray, scale: float, coloured: bool) -> str:
    """What the colours of one kernel (C, h, w) mean. `coloured`: it is shown as an RGB picture; otherwise in
    blue–white–red. `scale`: the magnitude of full contrast."""
    channels, height, width = weights.shape
    zero = "Mid-gray is 0" if coloured else "White is 0, blue below, red above"
    return (
        f"{height}×{width} pixels, {plural(channels, 'input channel')}; weights from "
        f"{weights.min():.3f} to {weights.max():.3f}. {zero}, full contrast is ±{scale:.3f}."
    )


def unit_sentence(value: float, size: tuple[int, int], stride: float, units: int) -> str:
    """A unit's value and receptive field; `units`: how many the map has. Without a map there is no stride
    and nothing to click."""
    start = f"Value {value_text(value)}. Receptive field {size[0]}×{size[1]}"
    return f"{start}, stride {stride:g}. Click another pixel." if units > 1 else f"{start}: one unit a channel."


def describe_silence(values: np.ndarray) -> str:
    """In words that a map (H, W) has no value above 0; "" where it has one."""
    if (values > 0).any():
        return ""
    return "0 everywhere" if (values == 0).all() else "nowhere above 0"


def scale_sentence(maps: np.ndarray) -> str:
    """The maximum of a layer's maps (C, H, W), and how many of them are silent: what the bar of colours leaves open."""
    peak, dead = float(maps.max()), int((maps.max(axis=(1, 2)) <= 0).sum())
    silent = f" {dead} of {plural(len(maps), 'map')} have no value above 0 here." if dead else ""
    return f"The layer's maximum is {value_text(peak)}.{silent}"
