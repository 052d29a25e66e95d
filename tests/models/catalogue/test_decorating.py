"""A class may call itself by its name, as `super(LeNet, self)` does, also while a decorator uses it."""

from textwrap import dedent

import pytest
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.models.catalogue import architecture, plugins

CELL = """
@cnnviz.register("own_named", input_size=(3, 8, 8), classes=4)
class Named(nn.Module):
    def __init__(self, num_classes=4):
        super(Named, self).__init__()
        self.width = {width}
        self.conv, self.fc = nn.Conv2d(3, {width}, 3), nn.Linear({width}, num_classes)

    def forward(self, x):
        assert isinstance(self, Named)
        return self.fc(self.conv(x).mean((2, 3))){more}
"""


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch):
    architecture.published()
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture._CATALOGUE))
    monkeypatch.setattr(plugins, "_typed", set())


def run_cell(space: dict, width: int = 2, more: str = "") -> None:
    exec(dedent(CELL).format(width=width, more=more), space)


def test_a_cell_of_a_notebook_can_be_run_again():
    space = {"cnnviz": cnnviz, "nn": nn, "__name__": "__no_file__"}
    for width in (2, 5):
        run_cell(space, width)
        assert cnnviz.build("own_named").width == width
        assert space["Named"](4).width == width


def test_a_class_within_a_function_is_found_by_its_methods():
    @cnnviz.register("own_local", input_size=(3, 8, 8), classes=4)
    class Local(nn.Module):
        def __init__(self, num_classes: int = 4) -> None:
            super(Local, self).__init__()  # noqa: UP008  as it is on slides
            self.fc = nn.Linear(192, num_classes)

        @staticmethod
        def flatten(x):
            return x.view(-1, 192) if Local else x

        def forward(self, x):
            return self.fc(Local.flatten(x))

    assert isinstance(cnnviz.build("own_local"), Local)


def test_of_a_class_that_was_refused_nothing_is_left():
    space = {"cnnviz": cnnviz, "nn": nn, "__name__": "__no_file__"}
    with pytest.raises(BadInput, match="does not run"):
        run_cell(space, more=".nothing()")
    assert "Named" not in space
    run_cell(space)
    kept = space["Named"]
    with pytest.raises(BadInput):
        run_cell(space, more=".nothing()")
    assert space["Named"] is kept
