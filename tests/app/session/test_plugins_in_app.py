"""Networks of the user's own in the app: in the picker like any other; a broken file is told and ends nothing."""

import os

from app_pages import chosen

from cnnviz.models.catalogue import architecture, plugins

GOOD = """
import cnnviz
from torch import nn

@cnnviz.register("net_of_a_file", input_size=(3, 16, 16), classes=4, labels=["a", "b", "c", "d"])
def net(num_classes):
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(384, num_classes))
"""


def test_a_network_of_a_plugin_is_shown_and_a_broken_plugin_is_told(opened, tmp_path, monkeypatch):
    good, broken = tmp_path / "good.py", tmp_path / "broken.py"
    good.write_text(GOOD)
    broken.write_text("\nraise RuntimeError('not today')\n")
    architecture.published()
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture._CATALOGUE))
    monkeypatch.setattr(plugins, "_files", {})
    monkeypatch.setenv(plugins.VARIABLE, f"{broken}{os.pathsep}{good}")
    at = opened("home", net="net_of_a_file")
    assert not at.exception and not at.error
    assert chosen(at, "net") == "net_of_a_file"
    (warning,) = at.sidebar.warning
    assert f"{broken}, line 2" in warning.value and "not today" in warning.value
