"""The rules of the house, read from the source: who imports whom, where hooks live, how long files are."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from source_tree import ROOT, project_files, sources
from torch import nn

import cnnviz
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.model import LoadedModel

ORDER = (
    "errors wording paths store device heap display progress distributed torchvision_import data models "
    "probes tracing interventions attribution synthesis engine index training landscape studies tours figures cli "
    "__main__"
).split()  # each imports only what stands before it
LEVELS = {name: level for level, name in enumerate(ORDER)}
DOOR = "cnnviz.figures.notebook.html.html_of"  # what display.py may ask for: a notebook asks the result itself
LONGEST = 400  # lines of a file outside tests/
FULLEST = 12  # modules of a folder; families/ holds one file a family of architectures, and pages/ one a page


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(module, whether for type checkers only) of every import, also of those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if node.level == 0 else [f"{place(path, node.level)}.{node.module or ''}"]
            names = [f"{name}.{alias.name}" for name in names for alias in node.names]
        yield from ((name, id(node) in typing_only) for name in names)


def place(path: Path, up: int = 1) -> str:
    """The package that a relative import with `up` dots starts from."""
    return ".".join(path.relative_to(ROOT).parts[:-up])


def part_of(module: str) -> str:
    """cnnviz.probes.capture.capture → "probes"; "" for anything else."""
    names = module.split(".")
    return names[1] if names[0] == "cnnviz" and len(names) > 1 else ""


def test_nothing_in_cnnviz_imports_a_layer_above_its_own():
    upwards = []
    for path in sources("cnnviz"):
        own = path.relative_to(ROOT / "cnnviz").with_suffix("").parts[0]
        if own == "__init__":  # the lazy front door
            continue
        assert own in LEVELS, f"{path.name}: give cnnviz/{own} a level"
        for module, _typing_only in imports(path):
            target = part_of(module)
            if own == "display" and module == DOOR:
                continue
            if target in LEVELS and LEVELS[target] > LEVELS[own]:
                upwards.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not upwards


def test_the_one_way_from_a_result_to_its_figure_is_taken_only_when_a_notebook_asks():
    users = {path.name for path in sources("cnnviz") if DOOR in {module for module, _ in imports(path)}}
    assert users == {"display.py"}
    ways = [module for module, _ in imports(ROOT / "cnnviz" / "display.py") if part_of(module)]
    assert ways == [DOOR]
    code = "import cnnviz.index.result, cnnviz.studies.anatomy.anatomy, cnnviz.models.model"
    assert not {name for name in loaded_after(code) if name.startswith("cnnviz.figures")}


def test_figures_import_results_for_typing_only():
    allowed = {"errors", "wording", "device", "figures", ""}  # of the device, words about precision
    for path in sources("cnnviz"):
        if "figures" in path.relative_to(ROOT).parts:
            used = {part_of(module) for module, typing_only in imports(path) if not typing_only}
            assert used <= allowed, path.name


def test_the_library_knows_nothing_of_the_app():
    for path in sources("cnnviz"):
        roots = {module.split(".")[0] for module, _ in imports(path)}
        assert not roots & {"app", "pages", "streamlit"}, path.relative_to(ROOT)


def test_torchvision_is_imported_through_one_module():
    """Its file says why."""
    files = sources("cnnviz", "app", "pages")
    users = {p.name for p in files if any(m.split(".")[0] == "torchvision" and not t for m, t in imports(p))}
    assert users == {"torchvision_import.py"}


def test_only_app_and_pages_import_streamlit():  # its messages are another matter: benchmarks/sessions.py speaks them
    streamlit = re.compile(r"streamlit(?!\.(proto|testing)\.)\b")
    files = [path for path in project_files() if path.suffix == ".py" and "tests" not in path.relative_to(ROOT).parts]
    using = [path for path in files if any(streamlit.match(module) for module, _ in imports(path))]
    users = {path.relative_to(ROOT).parts[0] for path in using}
    assert users <= {"app", "pages"}


def test_the_app_and_figures_import_no_torch():
    for path in [*sources("app", "pages"), *(p for p in sources("cnnviz") if "figures" in p.relative_to(ROOT).parts)]:
        roots = {module.split(".")[0] for module, _ in imports(path)}
        assert not roots & {"torch", "torchvision", "captum"}, path.relative_to(ROOT)


def test_hooks_and_modes_are_used_in_five_rooms_alone():
    pattern = re.compile(r"register_\w*hook|Torch(Function|Dispatch)Mode")
    users = {
        p.relative_to(ROOT) for p in sources("cnnviz", "app", "pages", "benchmarks") if pattern.search(p.read_text())
    }
    rooms = ("probes", "tracing", "interventions", "attribution", "engine")
    assert users
    assert {path.parts[:2] for path in users} <= {("cnnviz", room) for room in rooms}


def loaded_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running `code`."""
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_all_figures_loads_no_torch():
    files = [
        p.relative_to(ROOT)
        for p in sources("cnnviz")
        if "figures" in p.relative_to(ROOT).parts and p.stem != "__init__"
    ]
    loaded = loaded_after("\n".join(f"import {'.'.join(file.with_suffix('').parts)}" for file in files))
    assert "cnnviz.figures.base.mosaic" in loaded and "torch" not in loaded


def test_importing_cnnviz_loads_nothing_heavy():
    assert not loaded_after("import cnnviz") & {"torch", "torchvision", "captum", "plotly", "streamlit"}


def test_looking_at_a_small_network_loads_neither_torchvision_nor_captum_nor_plotly():
    loaded = loaded_after(
        "import cnnviz, numpy as np\n"
        "model = cnnviz.load('resnet20_cifar', 'random', 'cpu')\n"
        "image = np.zeros((40, 40, 3), np.uint8)\n"
        "model.predict(image); cnnviz.first_layer_filters(model); cnnviz.capture(model, image, ['layer1.0'])"
    )
    assert "torch" in loaded
    assert not loaded & {"torchvision", "captum", "plotly", "streamlit", "matplotlib", "skimage"}


def test_no_file_is_longer_than_four_hundred_lines():
    files = [path for path in project_files() if path.suffix == ".py" and "tests" not in path.relative_to(ROOT).parts]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_no_folder_holds_more_than_a_dozen_modules():
    modules = Counter(path.parent for path in sources("cnnviz", "app") if path.stem != "__init__")
    full = {str(folder.relative_to(ROOT)): count for folder, count in modules.items() if count > FULLEST}
    assert set(full) <= {"cnnviz/models/families"}


def module_of(path: Path) -> str:
    """cnnviz/index/result.py → "cnnviz.index.result"; a package for its __init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other along the arrows."""

    def reached(start: str) -> set[str]:
        found, waiting = set[str](), [start]
        while waiting:
            new = arrows[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    reach = {module: reached(module) for module in arrows}
    groups = {frozenset(other for other in reach[m] if m in reach[other]) for m in arrows if m in reach[m]}
    return sorted(sorted(group) for group in groups)


def test_no_files_import_each_other_in_a_circle():
    """Imports within functions and those for type checkers count: who needs them can't be understood alone."""
    modules = {module_of(path): path for path in sources("cnnviz", "app", "pages")}
    arrows = {
        module: {
            target if target in modules else target.rpartition(".")[0]
            for target, _typing_only in imports(path)
            if target != DOOR and module != "cnnviz"  # the front door names everything, for type checkers and lazily
        }
        & modules.keys()
        for module, path in modules.items()
    }
    assert sum(map(len, arrows.values())) > 500
    assert circles(arrows) == []


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}, "e": set()}) == [["b", "c"], ["d"]]


def test_a_class_name_means_one_thing():
    homes: dict[str, list[str]] = {}
    for path in sources("cnnviz", "app", "pages"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module_of(path))
    assert not {name: where for name, where in homes.items() if len(where) > 1}


def test_the_formatter_is_never_told_to_look_away():
    mark = "fmt" + ": skip"
    files = [path for path in project_files() if path.suffix == ".py"]
    assert not [str(path.relative_to(ROOT)) for path in files if mark in path.read_text(encoding="utf-8")]


def test_streamlit_is_configured_alike_from_the_project_and_from_the_app_folder():
    here, there = ROOT / ".streamlit" / "config.toml", ROOT / "app" / ".streamlit" / "config.toml"
    assert here.read_bytes() == there.read_bytes()


def test_no_file_names_a_place_on_one_machine():
    pattern = re.compile(r"(?<![\w.~})])/(?:work|root|home/(?!me/|you/))(?:/|\b)")
    named = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and weights
        if path != Path(__file__).resolve() and (found := pattern.search(text)):
            named.append(f"{path.relative_to(ROOT)}: {text[found.start() :][:40]!r}")
    assert not named


class Breakable(nn.Module):
    """A convolution, a ReLU and a pool; the pass fails at its very end once `broken` is set."""

    broken = False

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.relu(self.conv(x))))
        if self.broken:
            raise RuntimeError("broken network")
        return self.head(x.mean((2, 3)))


IMAGE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
PROBES = {
    "capture": lambda model: cnnviz.capture(model, IMAGE, ["conv", "head"]),
    "first_layer_filters": cnnviz.first_layer_filters,
    "maximize_activation": lambda model: cnnviz.maximize_activation(model, "pool", 0, steps=2),
    "index_patches": lambda model: cnnviz.index_patches(model, MemoryCorpus("one", ["a"], [IMAGE])),
    "receptive_field": lambda model: cnnviz.receptive_field(model, "pool").box(0, 0),
    "reconstruct": lambda model: [
        cnnviz.reconstruct(model, IMAGE, "head", 0, rule=rule) for rule in ("gradient", "deconvnet", "guided")
    ],
}


def breakable(broken: bool) -> LoadedModel:
    model = LoadedModel(Breakable(), "breakable", Preprocessing((8, 8)), ["a", "b"], torch.device("cpu"))
    model.module.broken = broken
    return model


def assert_untouched(module: nn.Module) -> None:
    for child in module.modules():
        hooks = [name for name, value in vars(child).items() if name.endswith("_hooks") and value]
        assert not hooks, f"{type(child).__name__} keeps {hooks}"
        assert not child.training
    assert all(p.grad is None and not p.requires_grad for p in module.parameters())
    leaf = torch.tensor([-1.0, 1.0], requires_grad=True)
    (-torch.relu(leaf)).sum().backward()  # a rule for rectifiers that were left on would stop the -1
    assert leaf.grad.tolist() == [0.0, -1.0]


def test_every_public_probe_is_watched_below():
    rooms = ("probes", "tracing", "attribution", "synthesis", "index")
    functions = {n for n in cnnviz.__all__ if cnnviz._HOME[n].split(".")[1] in rooms and n[0].islower()}
    assert set(PROBES) == functions


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_leaves_the_network_as_it_was(probe):
    model = breakable(broken=False)
    PROBES[probe](model)
    assert_untouched(model.module)


@pytest.mark.parametrize("probe", sorted(set(PROBES) - {"first_layer_filters"}))
def test_a_probe_leaves_the_network_as_it_was_also_when_the_pass_fails(probe):
    model = breakable(broken=True)
    with pytest.raises(RuntimeError, match="broken network"):
        PROBES[probe](model)
    assert_untouched(model.module)
