"""Cost of a layer (parameters, multiply-adds, memory), and the lecture notes' counting questions, in large numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, GREY
from cnnviz.figures.base.scene import INK, Box, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground.cells import spell_floor
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.convolution.cost import Cost
    from cnnviz.studies.convolution.lecture_questions import Question

RIGHT = "#007a58"


def bytes_text(count: int) -> str:
    """139776 → "139.8 kB", powers of ten."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return plural(count, "byte")


def cost_scene(working: str, cost: Cost, others: list[tuple[str, Cost]], width: float = 1070.0) -> Scene:
    """Parameters, multiply-adds and memory of a layer in large; below, bars of `others` beside it.

    `working`: how the parameters come about. `others`: (name, cost), the layer itself among them. Bars of a column
    have one linear scale from 0."""
    scene = Scene(width, 262 + 44 * len(others))
    numbers = (
        (f"{cost.parameters:,}", "parameters", bytes_text(cost.parameter_bytes)),
        (f"{cost.macs:,}", "multiply-adds", "for one image"),
        (
            "×".join(f"{size:,}" for size in cost.output),
            "output",
            f"{plural(cost.activations, 'value')}, {bytes_text(cost.activation_bytes)}",
        ),
    )
    for place, (number, words, more) in enumerate(numbers):
        x = width * (place + 0.5) / 3
        size = min(40.0, (width / 3 - 16) / text_width(number, 1.0, True))
        scene.add(Text(x, 34, number, size, CHOSEN if place == 0 else INK, bold=True))
        scene.add(Text(x, 72, words, 18), Text(x, 96, more, 15, GREY))
    size = min(22.0, (width - 10) / text_width(working, 1.0))
    scene.add(Text(width / 2, 144, working, size))
    names = max(text_width(name, 16) for name, _ in others) + 14
    room = (width - names) / 2
    for column, head in enumerate(("Parameters", "Multiply-adds")):
        scene.add(Text(names + column * room, 204, head, 16, bold=True, anchor="start"))
    for at, (name, other) in enumerate(others):
        y = 246 + 44 * at
        scene.add(Text(names - 10, y, name, 16, anchor="end", bold=at == 0))
        for column, values in enumerate(([c.parameters for _, c in others], [c.macs for _, c in others])):
            x, value = names + column * room, (other.parameters, other.macs)[column]
            long = max(1.5, value / max(values) * (room - 110))
            scene.add(Box(x, y - 13, long, 26, CATEGORIES[0] if at == 0 else CATEGORIES[5], title=f"{value:,}"))
            scene.add(Text(x + long + 8, y, count_text(value), 15, GREY, "start"))
    return scene


def answer_text(value: float) -> str:
    """854196224 → "854,196,224"; 2.7940 → "2.794"."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def question_scene(asked: Question, width: float = 1070.0, height: float = 400.0) -> Scene:
    """A question, its working, the answer in large, and what the notes say of it."""
    scene = Scene(width, height)
    answer = f"{answer_text(asked.value)} {asked.unit}"
    verdict, ink = _verdict(asked)
    lines = (
        (asked.text, 0.13, 26.0, INK, False),
        (f"{spell_floor(asked.working)} =", 0.34, 24.0, GREY, False),
        (answer, 0.54, 60.0, INK, True),
        (verdict, 0.76, 24.0, ink, True),
        (asked.remark, 0.89, 20.0, INK, False),
    )
    for text, share, most, colour, bold in lines:
        if text:
            size = min(most, (width - 16) / text_width(text, 1.0, bold))
            scene.add(Text(width / 2, share * height, text, size, colour, bold=bold))
    return scene


def _verdict(asked: Question) -> tuple[str, str]:
    """What the notes give, beside what is right where they are wrong."""
    right = f"{answer_text(asked.value)} {asked.unit}"
    if asked.notes_say is None:
        return "The notes only ask.", GREY
    said = answer_text(asked.notes_say)
    if asked.notes_right:
        return f"The notes say {said}: right.", RIGHT
    if asked.notes_say == asked.value:
        return f"The notes say {said}: the number is right, the reason is not.", CHOSEN
    return f"The notes say {said}, right is {right}.", CHOSEN
