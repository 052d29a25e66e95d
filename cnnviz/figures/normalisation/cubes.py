"""Cubes of activations, images × channels × places, with the values marked that share one mean and one variance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnnviz.figures.base.colors import CATEGORIES, GREY
from cnnviz.figures.base.scene import INK, Point, Polyline, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground.cells import EDGE

MARKED, PLAIN, SHADE = CATEGORIES[5], "#f3f4f6", "#e3e7ec"
IMAGES, CHANNELS, PLACES = 4, 6, 4  # cells of a drawn cube
SIDE, RIGHT, UP = 22.0, 13.0, 9.0  # pixels of a cell, and of one step into the depth
WIDTH, HEAD, FOOT = 250.0, 66.0, 84.0
# Whether (image, channel, place) shares its statistics with the corner.
_SHARED: dict[str, Callable[[int, int, int], bool]] = {
    "Batch norm": lambda _n, c, _p: c == CHANNELS - 1,
    "Layer norm": lambda n, _c, _p: n == 0,
    "Instance norm": lambda n, c, _p: n == 0 and c == CHANNELS - 1,
    "Group norm": lambda n, c, _p: n == 0 and c >= CHANNELS // 2,
    "Local response": lambda n, c, p: n == 0 and p == 0 and c >= CHANNELS - 5,
}


@dataclass(frozen=True, slots=True)
class NormCube:
    """What stands at a cube. `kind`: a key of what can be drawn; `over`: what is done over which axes; `statistics`:
    how many means, or sums, there are; `behind`: of how many values each."""

    kind: str
    over: str
    statistics: str
    behind: str


def cube_kinds() -> tuple[str, ...]:
    """The kinds of normalisation that have a cube."""
    return tuple(_SHARED)


def cubes_scene(cubes: Sequence[NormCube], vectors: bool = False, columns: int = 4) -> Scene:
    """One cube each, `columns` a row; of `vectors` a sheet of images × features."""
    rows, across = -(-len(cubes) // columns), min(columns, len(cubes))
    places = 1 if vectors else PLACES
    high = HEAD + places * SIDE + IMAGES * UP + FOOT
    scene = Scene(across * WIDTH, rows * high)
    for at, cube in enumerate(cubes):
        row, column = divmod(at, columns)
        _draw_cube(scene, cube, column * WIDTH, row * high, places)
    return scene


def _draw_cube(scene: Scene, cube: NormCube, left: float, top: float, places: int) -> None:
    middle = left + WIDTH / 2
    scene.add(Text(middle, top + 18, cube.kind, 20, bold=True))
    x0 = left + (WIDTH - CHANNELS * SIDE - IMAGES * RIGHT) / 2 + 14
    y0 = top + HEAD - 20 + IMAGES * UP

    def corner(n: float, c: float, p: float) -> Point:
        return x0 + c * SIDE + n * RIGHT, y0 + p * SIDE - n * UP

    def face(corners: Sequence[tuple[float, float, float]], marked: bool, plain: str) -> None:
        points = tuple(corner(*one) for one in (*corners, corners[0]))
        scene.add(Polyline(points, EDGE, 0.9, fill=MARKED if marked else plain))

    share = _SHARED[cube.kind]
    for n in range(IMAGES):  # the top: images × channels
        for c in range(CHANNELS):
            face([(n, c, 0), (n, c + 1, 0), (n + 1, c + 1, 0), (n + 1, c, 0)], share(n, c, 0), SHADE)
        for p in range(places):  # the right side: images × places
            last = CHANNELS
            face([(n, last, p), (n, last, p + 1), (n + 1, last, p + 1), (n + 1, last, p)], share(n, last - 1, p), SHADE)
    for c in range(CHANNELS):  # the front: channels × places
        for p in range(places):
            face([(0, c, p), (0, c + 1, p), (0, c + 1, p + 1), (0, c, p + 1)], share(0, c, p), PLAIN)
    foot = y0 + places * SIDE
    scene.add(Text(x0 + CHANNELS * SIDE / 2, foot + 13, "D" if places == 1 else "C", 15, GREY))
    end = corner(IMAGES / 2, CHANNELS, places)
    scene.add(Text(end[0] + 12, end[1] + 6, "N", 15, GREY))
    if places > 1:
        scene.add(Text(x0 - 8, y0 + places * SIDE / 2, "H, W", 15, GREY, "end"))
    for line, (text, size, colour, bold) in enumerate(
        (
            (cube.over, 15, INK, False),
            (cube.statistics, 16, INK, True),
            (cube.behind, 14, GREY, False),
        )
    ):
        fits = min(size, (WIDTH - 8) / text_width(text, 1.0, bold))
        scene.add(Text(middle, foot + 36 + 20 * line, text, fits, colour, bold=bold))
