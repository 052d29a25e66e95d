"""Maps that shrink from layer to layer, and those that padding keeps."""

from __future__ import annotations

from cnnviz.figures.base.colors import CATEGORIES, GREY
from cnnviz.figures.base.scene import INK, Box, Scene, Text
from cnnviz.figures.playground.cells import EDGE


def shrinking_scene(chosen: list[int], other: list[int], names: tuple[str, str], width: float = 1070.0) -> Scene:
    """Two bars a layer: the side of the map with the padding that is chosen, and with another. `names`: of the two."""
    scene = Scene(width, 460.0)
    count, base, high = max(len(chosen), len(other)), 400.0, 330.0
    pitch = (width - 40) / count
    bar, most = min(46.0, 0.38 * pitch), max(*chosen, *other)
    for at, (sizes, colour) in enumerate(((chosen, CATEGORIES[0]), (other, EDGE))):
        scene.add(
            Box(20 + at * width / 2, 8, 18, 18, colour), Text(46 + at * width / 2, 17, names[at], 17, anchor="start")
        )
        for layer, size in enumerate(sizes):
            x, tall = 20 + (layer + 0.5) * pitch + (at - 1) * bar, high * size / most
            ink = INK if at == 0 else GREY
            scene.add(Box(x + 1, base - tall, bar - 2, tall, colour, title=f"{size}×{size}"))
            scene.add(Text(x + bar / 2, base - tall - 12, str(size), min(18.0, 0.5 * bar), ink, bold=at == 0))
    for layer in range(count):
        scene.add(Text(20 + (layer + 0.5) * pitch, base + 20, "input" if not layer else str(layer), 16, GREY))
    scene.add(Text(width / 2, base + 46, "layers", 16, GREY))
    return scene
