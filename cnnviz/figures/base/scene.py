"""Vector drawings: a scene of boxes, lines and text that is written as SVG and as PNG, so that both show the same."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageDraw

from cnnviz.figures.base.text import FAMILY, fit_font, text_width

Point = tuple[float, float]
INK, PAPER = "#181c24", "#ffffff"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; round if `radius` is half its side. `item`: what a click on it chooses; `title`: shown
    when the mouse rests on it. `stroke` "" leaves the outline out. `lit_by`: items, set apart by spaces, that light it
    up, and pale all else, while the mouse rests on one of them."""

    x: float
    y: float
    width: float
    height: float
    fill: str = PAPER
    stroke: str = ""
    line: float = 1.0
    radius: float = 0.0
    item: str = ""
    title: str = ""
    lit_by: str = ""


@dataclass(frozen=True, slots=True)
class Polyline:
    """A line through points. `arrow`: its length in pixels at the last point, 0 for none. `lit_by`: as of a Box.
    `fill`: of the polygon whose corners the points are, which the line then does not close by itself."""

    points: tuple[Point, ...]
    stroke: str = INK
    width: float = 1.4
    arrow: float = 0.0
    lit_by: str = ""
    fill: str = "none"


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text. `y`: the middle of its height. `anchor`: "start", "middle" or "end"."""

    x: float
    y: float
    text: str
    size: float = 13.0
    fill: str = INK
    anchor: str = "middle"
    bold: bool = False


Shape = Box | Polyline | Text


@dataclass(slots=True)
class Scene:
    """Shapes in the order of drawing, on white paper of `width` × `height` pixels."""

    width: float
    height: float
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Draw on top of what is there."""
        self.shapes.extend(shapes)

    def paste(self, other: Scene, left: float, top: float) -> None:
        """Add another scene's shapes, moved."""
        self.shapes.extend(translate(shape, left, top) for shape in other.shapes)

    def svg(self) -> str:
        """The scene as one SVG document, its texts as text."""
        size = f'width="{self.width:g}" height="{self.height:g}" viewBox="0 0 {self.width:g} {self.height:g}"'
        body = "".join(_shape_to_svg(shape) for shape in self.shapes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family={quoteattr(FAMILY)}>'
            f'<rect width="100%" height="100%" fill="{PAPER}"/>{body}</svg>'
        )

    def png(self, scale: int = 2) -> bytes:
        """The scene as PNG, `scale` pixels a unit; drawn twice as large and reduced, for smooth edges."""
        fine = scale * 2
        image = Image.new("RGB", (math.ceil(self.width * fine), math.ceil(self.height * fine)), PAPER)
        draw = ImageDraw.Draw(image)
        for shape in self.shapes:
            _draw_shape(draw, shape, fine)
        small = image.reduce(2)
        buffer = io.BytesIO()
        small.save(buffer, "PNG", compress_level=4)
        return buffer.getvalue()


def translate(shape: Shape, right: float, down: float) -> Shape:
    """The same shape elsewhere."""
    if isinstance(shape, Polyline):
        return replace(shape, points=tuple((x + right, y + down) for x, y in shape.points))
    return replace(shape, x=shape.x + right, y=shape.y + down)


def place_side_by_side(scenes: list[Scene], gap: float = 24.0) -> Scene:
    """Scenes side by side, tops aligned."""
    width = sum(s.width for s in scenes) + gap * (len(scenes) - 1)
    whole, left = Scene(width, max(s.height for s in scenes)), 0.0
    for scene in scenes:
        whole.paste(scene, left, 0.0)
        left += scene.width + gap
    return whole


def route_around(start: Point, end: Point, lift: float, horizontal: bool = True) -> tuple[Point, ...]:
    """A line that leaves `start` square to the flow, runs `lift` pixels beside it, and comes back to `end`:
    above a flow to the right, to the right of a flow downwards."""
    (x0, y0), (x1, y1) = start, end
    if horizontal:
        level = min(y0, y1) - lift
        return round_corners([start, (x0, level), (x1, level), end], abs(lift))
    level = max(x0, x1) + lift
    return round_corners([start, (level, y0), (level, y1), end], abs(lift))


def arc_points(start: Point, end: Point, lift: float) -> tuple[Point, ...]:
    """Half an ellipse above two points of one height."""
    (x0, y0), (x1, y1) = start, end
    steps = [math.pi * step / 20 for step in range(21)]
    return tuple(((x0 + x1) / 2 - (x1 - x0) / 2 * math.cos(t), (y0 + y1) / 2 - lift * math.sin(t)) for t in steps)


def smooth_path(points: list[Point], horizontal: bool) -> tuple[Point, ...]:
    """A curve through points that leaves and enters each along the flow: to the right or downwards."""
    curve: list[Point] = [points[0]]
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        if (y0 == y1) if horizontal else (x0 == x1):
            curve.append((x1, y1))
            continue
        for step in range(1, 13):
            t = step / 12
            bend = 3 * t * t - 2 * t**3
            right, down = (t, bend) if horizontal else (bend, t)
            curve.append((x0 + (x1 - x0) * right, y0 + (y1 - y0) * down))
    return tuple(curve)


def round_corners(points: list[Point], radius: float = 6.0) -> tuple[Point, ...]:
    """A line of straight pieces with round corners."""
    line: list[Point] = [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        reach = min(radius, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        start, end = _move_towards(corner, before, reach), _move_towards(corner, after, reach)
        for step in range(7):
            t = step / 6
            x, y = (
                (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c for a, b, c in zip(start, corner, end, strict=True)
            )
            line.append((x, y))
    return (*line, points[-1])


def _move_towards(point: Point, other: Point, reach: float) -> Point:
    far = math.dist(point, other) or 1.0
    return point[0] + (other[0] - point[0]) * reach / far, point[1] + (other[1] - point[1]) * reach / far


def _arrow_head(points: tuple[Point, ...], length: float) -> tuple[Point, Point, Point]:
    """The triangle at the end of an arrow."""
    tip = points[-1]
    back = next((p for p in reversed(points[:-1]) if math.dist(p, tip) > length * 0.6), points[0])
    far = math.dist(back, tip) or 1.0
    ux, uy = (tip[0] - back[0]) / far, (tip[1] - back[1]) / far
    bx, by, half = tip[0] - ux * length, tip[1] - uy * length, length * 0.42
    return tip, (bx - uy * half, by + ux * half), (bx + uy * half, by - ux * half)


def _lit_by(shape: Box | Polyline) -> str:
    return f" data-lit-by={quoteattr(shape.lit_by)}" if shape.lit_by else ""


def _shape_to_svg(shape: Shape) -> str:
    if isinstance(shape, Box):
        inner = f"<title>{escape(shape.title)}</title>" if shape.title else ""
        item = f" data-item={quoteattr(shape.item)}" if shape.item else ""
        stroke = f' stroke="{shape.stroke}" stroke-width="{shape.line:g}"' if shape.stroke else ""
        return (
            f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}" '
            f'rx="{shape.radius:g}" fill="{shape.fill}"{stroke}{item}{_lit_by(shape)}>{inner}</rect>'
        )
    if isinstance(shape, Text):
        long = text_width(shape.text, shape.size, shape.bold)
        weight = ' font-weight="bold"' if shape.bold else ""
        return (
            f'<text x="{shape.x:.1f}" y="{shape.y + 0.36 * shape.size:.1f}" font-size="{shape.size:g}" '
            f'text-anchor="{shape.anchor}" fill="{shape.fill}"{weight} textLength="{long:.1f}" '
            f'lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(shape.text)}</text>'
        )
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in shape.points)
    line = f'stroke="{shape.stroke}" stroke-width="{shape.width:g}"{_lit_by(shape)}'
    drawn = f'<path d="{path}" fill="{shape.fill}" {line}/>'
    if shape.arrow:
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in _arrow_head(shape.points, shape.arrow))
        drawn += f'<polygon points="{corners}" fill="{shape.stroke}"/>'
    return drawn


def _draw_shape(draw: ImageDraw.ImageDraw, shape: Shape, scale: int) -> None:
    if isinstance(shape, Box):
        area = [shape.x * scale, shape.y * scale, (shape.x + shape.width) * scale, (shape.y + shape.height) * scale]
        wide = max(1, round(shape.line * scale)) if shape.stroke else 0
        if area[2] - area[0] >= 1 and area[3] - area[1] >= 1:
            fill = None if shape.fill == "none" else shape.fill
            draw.rounded_rectangle(area, shape.radius * scale, fill, shape.stroke or None, wide)
    elif isinstance(shape, Text):
        text, letters = fit_font(shape.text, shape.size * scale, shape.bold)
        side = {"start": "l", "middle": "m", "end": "r"}[shape.anchor]
        place = shape.x * scale, (shape.y + 0.36 * shape.size) * scale
        draw.text(place, text, shape.fill, letters, anchor=f"{side}s")
    else:
        points = [(x * scale, y * scale) for x, y in shape.points]
        if shape.fill != "none":
            draw.polygon(points, shape.fill)
        draw.line(points, shape.stroke, max(1, round(shape.width * scale)), joint="curve")
        if shape.arrow:
            draw.polygon([(x * scale, y * scale) for x, y in _arrow_head(shape.points, shape.arrow)], shape.stroke)
