"""A scene says the same as SVG and as PNG."""

import io
import xml.etree.ElementTree as ET

import numpy as np
from PIL import Image

from cnnviz.figures.base.scene import Box, Polyline, Scene, Text, place_side_by_side, round_corners, route_around

SVG = "{http://www.w3.org/2000/svg}"


def pixels(scene: Scene, scale: int = 1) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(scene.png(scale))).convert("RGB")).astype(int)


def test_a_box_lies_at_the_same_place_in_svg_and_png():
    scene = Scene(60, 40)
    scene.add(Box(12, 8, 20, 16, "#ff0000"))
    (rect,) = [r for r in ET.fromstring(scene.svg()).iter(f"{SVG}rect") if r.get("fill") == "#ff0000"]
    x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
    red = np.argwhere((pixels(scene) == [255, 0, 0]).all(axis=2))
    assert (x, y, w, h) == (12, 8, 20, 16)
    assert np.abs(red.min(0) - [y, x]).max() <= 1 and np.abs(red.max(0) - [y + h, x + w]).max() <= 1


def test_png_is_as_many_times_larger_as_asked():
    assert pixels(Scene(50, 30), 2).shape == (60, 100, 3)


def test_text_is_centred_where_the_scene_says():
    scene = Scene(200, 60)
    scene.add(Text(100, 30, "HHHH", 20, "#000000"))
    dark = np.argwhere(pixels(scene).sum(2) < 300)
    middle = (dark.min(0) + dark.max(0)) / 2
    assert abs(middle[1] - 100) < 3 and abs(middle[0] - 30) < 3


def test_names_with_special_signs_leave_the_svg_valid():
    scene = Scene(10, 10)
    scene.add(Text(1, 1, 'a<b>&"c'), Box(0, 0, 1, 1, item='x"y', title="<&>"))
    root = ET.fromstring(scene.svg())
    assert next(root.iter(f"{SVG}text")).text == 'a<b>&"c'
    assert [r.get("data-item") for r in root.iter(f"{SVG}rect") if r.get("data-item")] == ['x"y']
    assert next(root.iter(f"{SVG}title")).text == "<&>"


def test_scenes_beside_each_other_keep_their_shapes_apart():
    left, right = Scene(30, 20), Scene(40, 50)
    left.add(Box(1, 2, 3, 4))
    right.add(Polyline(((0, 0), (5, 6))))
    whole = place_side_by_side([left, right], gap=10)
    assert (whole.width, whole.height) == (80, 50)
    assert whole.shapes[0] == Box(1, 2, 3, 4) and whole.shapes[1].points == ((40, 0), (45, 6))


def test_a_way_around_reaches_its_lift_and_its_ends():
    up = route_around((0, 100), (80, 100), 30)
    assert up[0] == (0, 100) and up[-1] == (80, 100) and min(y for _, y in up) == 70
    right = route_around((50, 0), (50, 90), 20, horizontal=False)
    assert max(x for x, _ in right) == 70 and right[-1] == (50, 90)


def test_round_corners_stay_within_the_corner_points():
    line = round_corners([(0, 0), (50, 0), (50, 40)], 10)
    assert all(0 <= x <= 50 and 0 <= y <= 40 for x, y in line)
    assert (50, 0) not in line and line[0] == (0, 0) and line[-1] == (50, 40)
