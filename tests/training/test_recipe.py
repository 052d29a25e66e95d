"""Recipes: schedules against values written out by hand, and refusals that name the setting."""

import json

import pytest

from cnnviz.errors import BadInput
from cnnviz.training.recipe import Recipe, default_recipe, learning_rate


def rates(recipe: Recipe, steps: int) -> list[float]:
    return [learning_rate(recipe, step, steps) for step in range(recipe.epochs * steps)]


def test_cosine_rises_linearly_then_falls_along_half_a_cosine():
    recipe = Recipe(epochs=3, lr=0.8, schedule="cosine", warmup=1)
    falling = [0.8, 0.8 * 0.8535533906, 0.4, 0.8 * 0.1464466094]  # (1 + cos(pi i / 8)) / 2 at i = 0, 2, 4, 6
    expected = [0.2, 0.4, 0.6, 0.8]
    found = rates(recipe, 4)
    assert found[:4] == pytest.approx(expected)
    assert found[4::2] == pytest.approx(falling)


def test_the_last_cosine_step_is_nearly_nothing_and_never_negative():
    found = rates(Recipe(epochs=10, lr=1.0, warmup=0), 10)
    assert found[0] == 1.0
    assert 0 < found[-1] < 0.001
    assert found == sorted(found, reverse=True)


def test_step_divides_by_ten_at_each_milestone():
    recipe = Recipe(epochs=4, lr=0.5, schedule="step", milestones=(0.5, 0.75), warmup=0)
    assert rates(recipe, 2) == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.005, 0.005])


def test_constant_stays_after_a_warm_up_of_half_an_epoch():
    recipe = Recipe(epochs=2, lr=0.3, schedule="constant", warmup=0.5)
    assert rates(recipe, 4) == pytest.approx([0.15, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3])


@pytest.mark.parametrize(
    "name, value",
    [
        ("epochs", 0),
        ("batch", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("schedule", "cosin"),
        ("milestones", (0.5, 1.0)),
        ("warmup", 61.0),
        ("label_smoothing", 1.0),
        ("crop", -1),
        ("shift", -1),
        ("side", -1),
        ("precision", "float16"),
    ],
)
def test_a_setting_out_of_range_is_named(name, value):
    with pytest.raises(BadInput, match=f"{name} = "):
        Recipe(**{name: value})


@pytest.mark.parametrize("epochs, whole", [(1, 1), (3, 1), (10, 1), (11, 2), (30, 3)])
def test_smaller_crops_end_a_tenth_before_the_end(epochs, whole):
    recipe = Recipe(epochs=epochs, warmup=0, side=24)
    assert [recipe.side_in(epoch) for epoch in range(epochs)] == [24] * (epochs - whole) + [0] * whole
    assert Recipe(epochs=epochs, warmup=0).side_in(0) == 0


def test_a_recipe_survives_json():
    recipe = Recipe(epochs=7, schedule="step", milestones=(0.25, 0.5), seed=3)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_a_setting_that_is_not_written_has_its_default():
    assert Recipe.from_dict({"epochs": 7}) == Recipe(epochs=7)


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(BadInput, match="learning_rate"):
        Recipe.from_dict({"learning_rate": 0.1})


def test_digits_are_shifted_and_never_mirrored_photographs_are_cropped_and_mirrored():
    digits, photographs = default_recipe(1), default_recipe(3)
    assert digits.shift > 0 and not digits.flip
    assert photographs.crop > 0 and photographs.flip
    assert default_recipe(1, epochs=2, flip=True).flip
