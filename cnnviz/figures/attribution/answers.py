"""Bars of the most probable classes: logits, and the softmax that is made of them."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.figures.base.colors import CHOSEN, GREY
from cnnviz.figures.base.scene import Box, Polyline, Scene, Text
from cnnviz.figures.base.text import truncate

WIDTH, NARROW, ROW, HEAD = 720, 530, 35, 26  # pixels
_NAME, _LOGIT, _SHARE = 0, 250, 470  # left edges
_RANK = 36  # room for the rank before a name
_LOGIT_ROOM, _NUMBER = 150, 96  # of the bars of logits, and of a probability in figures
_TRACK, _PALE, _BAR = "#eceef1", "#8fa3b8", "#33638d"


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One row. `rank`: 1 for the most probable; `chosen`: the class that the page is about."""

    name: str
    logit: float
    probability: float
    rank: int
    chosen: bool = False


def answer_bars(rows: list[ClassScore], single: bool = False, width: int = WIDTH) -> Scene:
    """Names, logits and probabilities side by side. `single`: the network has one logit, so that the probability is
    its logistic function. `width`: pixels; in a narrow picture the bars are shorter, the letters are not."""
    picture, size = Scene(width, HEAD + ROW * len(rows)), width / WIDTH
    formula = "probability 1 / (1 + exp(−z))" if single else "softmax exp(z) / Σ exp(z)"
    for left, text in ((_NAME + _RANK, "class"), (_LOGIT * size, "logit z"), (_SHARE * size, formula)):
        picture.add(Text(left, HEAD / 2, text, 13, GREY, "start"))
    low = min([0.0, *(row.logit for row in rows)])
    high = max([0.0, *(row.logit for row in rows)])
    span = max(high - low, 1e-12)
    for number, row in enumerate(rows):
        _draw_row(picture, row, HEAD + number * ROW, low, span, size)
    zero = size * (_LOGIT - low / span * _LOGIT_ROOM)
    picture.add(Polyline(((zero, HEAD), (zero, HEAD + ROW * len(rows) - 4)), GREY, 1.0))
    return picture


def _draw_row(picture: Scene, row: ClassScore, top: float, low: float, span: float, size: float) -> None:
    middle, colour = top + ROW / 2 - 2, CHOSEN if row.chosen else _BAR
    name = truncate(row.name, 15, _LOGIT * size - _NAME - _RANK - 14, row.chosen, loose=" ,")
    picture.add(Text(_NAME + _RANK - 12, middle, str(row.rank), 12, GREY, "end"))
    picture.add(Text(_NAME + _RANK, middle, name, 15, anchor="start", bold=row.chosen))
    room, left, long = _LOGIT_ROOM * size, _SHARE * size, picture.width - _NUMBER - _SHARE * size
    zero = _LOGIT * size - low / span * room
    end = zero + row.logit / span * room
    picture.add(Box(min(zero, end), middle - 8, max(abs(end - zero), 1), 16, CHOSEN if row.chosen else _PALE))
    picture.add(Text(_LOGIT * size + room + 8, middle, f"{row.logit:.2f}".replace("-", "−"), 14, anchor="start"))
    picture.add(Box(left, middle - 9, long, 18, _TRACK))
    if row.probability > 0:
        picture.add(Box(left, middle - 9, max(row.probability * long, 1), 18, colour))
    picture.add(Text(left + long + 8, middle, probability_text(row.probability), 14, anchor="start", bold=row.chosen))


def probability_text(share: float) -> str:
    """0.9312 → "93.1 %"; small shares keep a digit: 0.00012 → "0.01 %"."""
    if share >= 0.0005 or share == 0:
        return f"{100 * share:.1f} %"
    return f"{100 * share:.1g} %" if share >= 1e-6 else "< 0.0001 %"
