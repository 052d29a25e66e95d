"""Preferred inputs in a file: read again as they were, and named by all that they depend on."""

import dataclasses

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.synthesis.kept import load_inputs, name_inputs, save_inputs
from cnnviz.synthesis.maximize import maximize_activations
from cnnviz.synthesis.settings import SynthesisSettings


@pytest.fixture(scope="module")
def model():
    return cnnviz.load("lenet5", device="cpu")


@pytest.mark.parametrize(
    "layer, channel, settings",
    [
        ("conv2", 3, SynthesisSettings(steps=3, copies=2, unit=(1, 2))),
        ("conv2", {1: 0.25, 4: 0.75}, SynthesisSettings(steps=2, objective="channel", parameterisation="maco")),
        (None, 7, SynthesisSettings(steps=2, seed=5)),
    ],
)
def test_what_was_saved_is_read_again_as_it_was(model, tmp_path, layer, channel, settings):
    made = maximize_activations(model, layer, [channel], settings)
    again = load_inputs(save_inputs(tmp_path / "some.npz", made))
    assert len(again) == len(made) == settings.copies
    for old, new in zip(made, again, strict=True):
        for entry in dataclasses.fields(old):
            before, after = getattr(old, entry.name), getattr(new, entry.name)
            if isinstance(before, np.ndarray):
                np.testing.assert_array_equal(before, after)
                assert before.dtype == after.dtype
            else:
                assert before == after and type(before) is type(after), entry.name


def test_every_part_of_the_recipe_gives_another_name():
    plain = SynthesisSettings()
    recipes = [
        ("print", "conv1", (((0, 1.0),),), plain),
        ("other", "conv1", (((0, 1.0),),), plain),
        ("print", "conv2", (((0, 1.0),),), plain),
        ("print", None, (((0, 1.0),),), plain),
        ("print", "conv1", (((1, 1.0),),), plain),
        ("print", "conv1", (((0, 0.5), (1, 0.5)),), plain),
        *(
            ("print", "conv1", (((0, 1.0),),), dataclasses.replace(plain, **other))
            for other in (
                {"seed": 1},
                {"copies": 2},
                {"unit": (0, 1)},
                {"objective": "max"},
                {"parameterisation": "maco"},
            )
        ),
    ]
    assert len({name_inputs(*recipe) for recipe in recipes}) == len(recipes)
    assert name_inputs(*recipes[0]) == name_inputs(*recipes[0])


def test_a_file_of_another_kind_and_a_damaged_one_are_refused_in_words(tmp_path):
    other = tmp_path / "other.npz"
    cnnviz.store.save_arrays(other, {"images": np.zeros(1)}, {"kind": "landscape"})
    with pytest.raises(BadInput, match="holds no preferred inputs"):
        load_inputs(other)
    other.write_bytes(b"PK no archive")
    with pytest.raises(BadInput, match="damaged"):
        load_inputs(other)
    with pytest.raises(BadInput, match="at least one"):
        save_inputs(tmp_path / "none.npz", [])
