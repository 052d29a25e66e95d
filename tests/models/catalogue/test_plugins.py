"""Networks of the user's own: they appear everywhere, and a file that is wrong is told with its line."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch

import cnnviz
from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.catalogue import architecture, plugins, registry

ROOT = Path(__file__).resolve().parents[3]
GOOD = """
    import cnnviz
    from torch import nn

    @cnnviz.register("{name}", input_size=(3, 20, 24), classes=4, labels=["a", "b", "c", "d"], title="Mine")
    class Mine(nn.Module):
        def __init__(self, num_classes=4, *, width=6):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, width, 3), nn.Linear(width, num_classes)

        def forward(self, x):
            return self.head(self.conv(x).relu().mean((2, 3)))
"""


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch):
    """What a test registers is gone afterwards."""
    architecture.published()
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture._CATALOGUE))
    monkeypatch.setattr(plugins, "_files", {})


def written(folder: Path, text: str, name: str = "plugin.py") -> Path:
    (folder / name).write_text(dedent(text))
    return folder / name


def test_a_registered_class_is_an_architecture_like_any_other(tmp_path):
    plugin = plugins.load_file(written(tmp_path, GOOD.format(name="mine_1")))
    assert plugin.names == ("mine_1",) and "mine_1" in cnnviz.architectures()
    model = cnnviz.load("mine_1", "random", "cpu")
    assert (model.input_size, model.class_names) == ((3, 20, 24), ["a", "b", "c", "d"])
    assert model.layers() == ["conv", "head"]
    assert cnnviz.build("mine_1", 9, width=8).head.weight.shape == (9, 8)
    with pytest.raises(BadInput, match="no option 'depth'. It offers: width"):
        cnnviz.build("mine_1", depth=3)


def test_weights_of_a_registered_class_are_recognised(tmp_path):
    plugins.load_file(written(tmp_path, GOOD.format(name="mine_2")))
    torch.manual_seed(0)
    source = cnnviz.build("mine_2", 3).eval()
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    model = cnnviz.load(weights=tmp_path / "weights.pt", device="cpu")
    assert (model.name, len(model.class_names)) == ("mine_2", 3)
    torch.testing.assert_close(model.module.head.weight, source.head.weight)


def test_a_file_runs_once_and_may_import_what_lies_beside_it(tmp_path):
    written(tmp_path, "WIDTH = 5", "beside_the_plugin.py")
    path = written(
        tmp_path,
        f"""
        import cnnviz
        from beside_the_plugin import WIDTH
        from torch import nn

        with open({str(tmp_path / "runs")!r}, "a") as file:
            file.write("x")

        @cnnviz.register("beside", input_size=(1, 8, 8), classes=2)
        def build(num_classes):
            return nn.Sequential(nn.Conv2d(1, WIDTH, 8), nn.Flatten(), nn.Linear(WIDTH, num_classes))
    """,
    )
    assert plugins.load_file(path) == plugins.load_file(str(path))
    assert (tmp_path / "runs").read_text() == "x"
    assert str(tmp_path) not in sys.path
    assert registry.find("beside").preprocessing.mean == (0.5,)


def test_the_variable_is_read_before_the_catalogue_and_a_broken_file_ends_nothing(tmp_path):
    good = written(tmp_path, GOOD.format(name="mine_3"), "good.py")
    broken = written(tmp_path, "\nimport cnnviz\nraise RuntimeError('not today')\n", "broken.py")
    code = (
        "import cnnviz\nprint('mine_3' in cnnviz.architectures())\n"
        "from cnnviz.models.catalogue import plugins\nprint(*plugins.list_problems(), sep='\\n')"
    )
    variables = {**os.environ, plugins.VARIABLE: f"{broken}{os.pathsep}{good}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=variables)
    assert done.returncode == 0, done.stderr
    first, problem = done.stdout.splitlines()
    assert first == "True" and f"{broken}, line 3" in problem and "RuntimeError: not today" in problem


HEAD = "import cnnviz\nfrom torch import nn\n"
FLAT = "nn.Sequential(nn.Flatten(), nn.Linear(12, {n}))"
BROKEN = {
    "syntax": ("def broken(:\n", "line 1", "SyntaxError"),
    "exception": (HEAD + "\nunknown_thing\n", "line 4", "unknown_thing"),
    "exit": (HEAD + "raise SystemExit('bye')\n", "line 3", "bye"),
    "empty": (HEAD, "", "registers no network"),
    "taken": (
        HEAD + f"@cnnviz.register('lenet5', input_size=(3, 2, 2))\ndef f(n): return {FLAT.format(n='n')}\n",
        "line 3",
        "'lenet5' is registered already",
    ),
    "twice": (
        HEAD + 2 * f"@cnnviz.register('two', input_size=(3, 2, 2))\ndef f(n): return {FLAT.format(n='n')}\n",
        "line 5",
        "'two' is registered already",
    ),
    "no module": (HEAD + "@cnnviz.register('bad')\ndef f(n): return 3\n", "line 3", "returned a int"),
    "raises": (HEAD + "@cnnviz.register('bad')\ndef f(n):\n    return nn.Conv2d(3, n)\n", "line 5", "TypeError"),
    "no argument": (
        HEAD + f"@cnnviz.register('bad', input_size=(3, 2, 2), classes=3)\ndef f(): return {FLAT.format(n=10)}\n",
        "line 3",
        "always has 10 outputs",
    ),
    "fixed classes": (
        HEAD + f"@cnnviz.register('bad', input_size=(3, 2, 2))\ndef f(n): return {FLAT.format(n=10)}\n",
        "line 3",
        "10 outputs also when num_classes is 11",
    ),
    "maps": (
        HEAD + "@cnnviz.register('bad', input_size=(3, 8, 8))\ndef f(n): return nn.Conv2d(3, n, 3)\n",
        "line 3",
        r"\(1, 10, 6, 6\)",
    ),
    "input": (
        HEAD + f"@cnnviz.register('bad', input_size=(3, 8, 8))\ndef f(n): return {FLAT.format(n='n')}\n",
        "line 3",
        "does not run on one image",
    ),
    "name": (HEAD + "@cnnviz.register('my net')\ndef f(n): return nn.Flatten()\n", "line 3", "letters, digits"),
    "labels": (HEAD + "@cnnviz.register('bad', labels=['a'])\ndef f(n): ...\n", "line 3", "as many labels"),
    "mean": (HEAD + "@cnnviz.register('bad', mean=(0.5,), std=(1,))\ndef f(n): ...\n", "line 3", "channels"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_wrong_file_is_told_with_its_line_and_enters_nothing(case, tmp_path):
    text, line, words = BROKEN[case]
    good = "@cnnviz.register('good_before', input_size=(3, 2, 2))\ndef g(n): return " + FLAT.format(n="n") + "\n"
    path = written(tmp_path, text if case in ("syntax", "empty") else text + good)
    before = cnnviz.architectures()
    with pytest.raises(BadInput, match=words) as caught:
        plugins.load_file(path)
    assert str(path) in str(caught.value) and line in str(caught.value)
    assert cnnviz.architectures() == before
    with pytest.raises(BadInput, match=words):  # told again, not run again
        plugins.load_file(path)
    assert plugins.list_problems() == [str(caught.value)]


def test_what_a_file_registered_before_it_failed_is_taken_back(tmp_path):
    path = written(tmp_path, dedent(GOOD.format(name="mine_4")) + "raise ValueError('late')\n")
    with pytest.raises(BadInput, match="late"):
        plugins.load_file(path)
    with pytest.raises(UnknownName):
        registry.find("mine_4")


@pytest.mark.parametrize("name, words", [("absent.py", "no such file"), ("notes.txt", "must end in .py")])
def test_a_file_that_is_none_is_told(tmp_path, name, words):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadInput, match=words):
        plugins.load_file(tmp_path / name)


def test_a_plugin_may_look_at_the_catalogue_while_it_loads(tmp_path, monkeypatch):
    path = written(
        tmp_path, 'import cnnviz\nassert "lenet5" in cnnviz.architectures()\n' + dedent(GOOD.format(name="m5"))
    )
    monkeypatch.setenv(plugins.VARIABLE, str(path))
    assert "m5" in cnnviz.architectures() and not plugins.list_problems()


def test_a_network_that_computes_with_values_while_it_is_built_is_welcome(tmp_path):
    path = written(
        tmp_path,
        """
        import cnnviz
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, n):
                super().__init__()
                width = int(torch.ones(3).sum().item())
                self.head = nn.Linear(width, n)

            def forward(self, x):
                return self.head(x.mean((2, 3)))

        cnnviz.register("by_value", input_size=(3, 4, 4), classes=2)(Net)
    """,
    )
    plugins.load_file(path)
    with torch.device("meta"):
        module = cnnviz.build("by_value", 5)
    assert module.head.weight.is_meta and module.head.weight.shape == (5, 3)
    assert not cnnviz.build("by_value").head.weight.is_meta


def test_register_works_in_a_notebook_too():
    @cnnviz.register("from_a_notebook", input_size=(3, 6, 6), classes=10, labels="cifar10")
    def build(num_classes: int) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, num_classes))

    assert cnnviz.load("from_a_notebook", "random", "cpu").class_names[3] == "cat"
    assert isinstance(build(2), torch.nn.Module)
