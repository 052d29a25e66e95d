"""The playground's drawings say what the library computes: numbers, colours, counts."""

import numpy as np
import pytest

from cnnviz.figures.base.scene import Box, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground import cards as playground_cards
from cnnviz.figures.playground import matrix as playground_matrix
from cnnviz.figures.playground import pooling as playground_pooling
from cnnviz.figures.playground import steps as playground_steps
from cnnviz.figures.playground.cells import digits_size, fit_sum, number_text, tied_colours
from cnnviz.studies.convolution import convolution as convolving
from cnnviz.studies.convolution.cost import conv_cost
from cnnviz.studies.convolution.lecture_questions import find_question, list_questions
from cnnviz.studies.convolution.toeplitz import build_toeplitz
from cnnviz.studies.pooling import pooling


def words(scene: Scene) -> list[str]:
    return [shape.text for shape in scene.shapes if isinstance(shape, Text)]


def boxes(scene: Scene, fill: str) -> list[Box]:
    return [shape for shape in scene.shapes if isinstance(shape, Box) and shape.fill == fill]


def step(number: int, grid=convolving.GRID, kernel=convolving.KERNEL, width: float = 1070, **how) -> Scene:
    result = convolving.convolve(grid, kernel, **how)
    moves = [how.get("stride", 1), how.get("padding", 0), how.get("dilation", 1)]
    sizes = tuple(convolving.output_size(n, k, *moves) for n, k in zip(np.shape(grid), np.shape(kernel), strict=True))
    return playground_steps.step_scene(result, moves[1], number, sizes, how.get("flip", False), width)


def inside(scene: Scene) -> bool:
    """Every letter is on the paper."""
    for shape in scene.shapes:
        if isinstance(shape, Text) and shape.text:
            half = text_width(shape.text, shape.size, shape.bold)
            left = {"start": shape.x, "middle": shape.x - half / 2, "end": shape.x - half}[shape.anchor]
            if left < -1 or left + half > scene.width + 1 or not 0 < shape.y < scene.height:
                return False
    return True


def test_the_steps_of_the_first_example_give_19_25_37_43():
    for number, value in enumerate((19, 25, 37, 43)):
        said = words(step(number))
        assert any(line.endswith(f"= {value}") for line in said) and str(value) in said
    assert "0·0 + 1·1 + 3·2 + 4·3 = 19" in words(step(0))


def test_outputs_that_are_still_to_come_are_blank():
    assert "43" not in words(step(2)) and "43" in words(step(3))
    items = [s.item for s in step(0).shapes if isinstance(s, Box) and s.item]
    assert items == ["step:0", "step:1", "step:2", "step:3"]


def test_the_sharpening_example_begins_with_114():
    said = words(step(0, convolving.SHARPEN_GRID, convolving.SHARPEN, padding=1))
    assert "114" in said and any("60·5" in line for line in said)


def test_a_weight_has_one_colour_in_kernel_window_and_matrix_also_when_turned():
    for flip in (False, True):
        kernel = np.array(convolving.KERNEL, float)
        laid = kernel[::-1, ::-1] if flip else kernel
        matrix = playground_matrix.matrix_scene(build_toeplitz(laid, (3, 3)), np.array(convolving.GRID), 0, flip)
        for colour in tied_colours(4):
            assert len(boxes(step(0, flip=flip), colour)) == 2  # in the window, in the kernel
            assert len(boxes(matrix, colour)) == 1 + 4  # in the kernel, once in each of the four lines
        kernel_cells = [b for b in matrix.shapes if isinstance(b, Box) and b.fill in tied_colours(4)][:4]
        assert [b.fill for b in kernel_cells] == list(tied_colours(4))[:: -1 if flip else 1]


def test_the_window_of_a_dilated_kernel_leaves_the_pixels_between_out():
    grid = np.arange(25).reshape(5, 5)
    scene = step(0, grid, ((1, 1), (1, 1)), dilation=3)
    assert any(line == "0·1 + 3·1 + 15·1 + 18·1 = 36" for line in words(scene))
    assert all(len(boxes(scene, colour)) == 2 for colour in tied_colours(4))


def test_a_division_that_is_not_whole_is_said():
    grid = np.ones((7, 7))
    rounded = words(step(0, grid, np.ones((3, 3)), stride=3))
    assert any("2.33 is not whole" in line and "last row and column" in line for line in rounded)
    assert not any("not whole" in line for line in words(step(0, grid, np.ones((3, 3)), stride=2)))
    uneven = words(step(0, np.ones((7, 8)), np.ones((3, 3)), stride=3))
    assert any("last row." in line for line in uneven) and any("last 2 columns." in line for line in uneven)


def test_the_matrix_tells_dense_local_and_shared_weights():
    found = build_toeplitz(np.array(convolving.KERNEL), (3, 3))
    said = words(playground_matrix.matrix_scene(found, np.array(convolving.GRID), 1))
    assert [said.index(n) < said.index("convolution: tied weights") for n in ("36", "16", "4")]
    assert {"19", "25", "37", "43"} <= set(said) and "W: 4×9" in said


def test_the_heat_map_has_once_in_the_corner_and_nine_times_in_the_middle():
    counts = convolving.count_visits((5, 5), 3)
    scene = playground_matrix.visits_scene(counts, 9)
    titles = {shape.title for shape in scene.shapes if isinstance(shape, Box)}
    assert {"(0, 0): once", "(2, 2): 9 times", "(0, 2): 3 times"} <= titles


def test_the_cost_of_alexnets_first_layer_stands_there_in_full():
    cost = conv_cost(3, 96, 11, 227, 227, 4, 0)
    said = words(playground_cards.cost_scene("11 · 11 · 3 · 96 + 96", cost, [("this layer", cost)]))
    assert "34,944" in said and "105,415,200" in said and "96×55×55" in said


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        ("reduced-inception", "The notes say 358,000,000, right is 271,351,808 multiplications."),
        ("kernels-100", "The notes say 2,800: right."),
        ("size-32-5", "The notes say 28: the number is right, the reason is not."),
        ("size-7-3-3", "The notes only ask."),
    ],
)
def test_what_the_notes_say_is_set_beside_what_is_right(key, verdict):
    assert verdict in words(playground_cards.question_scene(find_question(key)))


def test_the_books_shift_changes_four_of_four_inputs_and_two_of_four_outputs():
    scene = playground_pooling.rows_scene(pooling.pool_rows(), 3, 1)
    assert "4 of 4 inputs and 2 of 4 outputs change." in words(scene)
    assert len(boxes(scene, playground_pooling.CHANGED)) == 4 + 2


def test_four_poolings_show_their_numbers():
    grid = np.array(((1, 3), (2, 9)))
    maps = [("Maximum", pooling.pool(grid)), ("Average", pooling.pool(grid, "average"))]
    said = words(playground_pooling.pools_scene(grid, maps, 2, 2))
    assert said.count("9") == 2 and "3.75" in said


@pytest.mark.parametrize("width", [1070, 690])
@pytest.mark.parametrize(("side", "k"), [(1, 1), (12, 5), (12, 1)])
def test_nothing_reaches_over_the_edge_of_the_paper(width, side, k):
    grid, kernel = np.full((side, side), -123.5), np.full((k, k), -0.111111)
    how = {"padding": 4 if k == 5 else 0}
    scenes = [
        step(0, grid, kernel, width, **how),
        playground_matrix.matrix_scene(build_toeplitz(kernel, (side, side)), grid, 0, width=width),
        playground_matrix.visits_scene(convolving.count_visits((side, side), k), k * k, width),
        playground_cards.question_scene(find_question("reduced-inception"), width),
    ]
    assert all(inside(scene) for scene in scenes)


def test_colours_of_weights_differ_and_numbers_fit_their_cells():
    for count in (4, 9, 25):
        assert len(set(tied_colours(count))) == count
    assert text_width("−1235", digits_size(np.array([-1234.6]), 40), True) <= 40
    assert number_text(-0.25) == "−0.25"


def test_a_long_sum_is_broken_before_a_sign_and_loses_nothing():
    text = " + ".join(["(−123.5)·(−0.111111)"] * 25) + " = 343.056"
    lines, size = fit_sum(text, 670, 96)
    assert " ".join(lines) == text and all(text_width(line, size) <= 670 for line in lines)


@pytest.mark.parametrize("width", [1070, 690])
def test_every_question_fits_its_card(width):
    for asked in list_questions():
        assert inside(playground_cards.question_scene(asked, width)), asked.key


@pytest.mark.parametrize(("width", "stride", "shift"), [(2, 1, -1), (3, 2, 2), (5, 3, 0)])
def test_a_row_of_twelve_fits_and_is_counted_as_pooled(width, stride, shift):
    rows = pooling.pool_rows(np.arange(12) / 8, (0.3,), shift, "average", width, stride)
    scene = playground_pooling.rows_scene(rows, width, stride, 690)
    changed = int(rows.inputs_changed.sum() + rows.outputs_changed.sum())
    assert inside(scene) and len(boxes(scene, playground_pooling.CHANGED)) == changed
