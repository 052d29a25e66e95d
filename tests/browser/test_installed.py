"""cnnviz as strangers install it: a wheel in a fresh environment is the same program, library and app."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from source_tree import ROOT
from visitors import PATIENCE, Visitor

import cnnviz

LIBRARY = """
import importlib.util, json
import cnnviz, numpy as np
model = cnnviz.load("resnet20_cifar", device="cpu")
photo = cnnviz.corpus("samples").image(0)
index = cnnviz.index_patches(model, cnnviz.corpus("samples", limit=4), ["layer2.0"])
print(json.dumps({
    "file": cnnviz.__file__,
    "public": cnnviz.__all__,
    "architectures": cnnviz.architectures(),
    "origin": model.origin,
    "accuracy": model.notes["accuracy"]["test"],
    "predicted": model.predict(photo)[0].tolist(),
    "layers": model.layers(),
    "filters": list(cnnviz.first_layer_filters(model).tiles.shape),
    "captured": list(cnnviz.capture(model, photo, ["layer2.0"])["layer2.0"].shape),
    "box": cnnviz.receptive_field(model, "layer2.0").box(4, 9),
    "best": len(index.top("layer2.0", 3)),
    "snapshot": cnnviz.load("resnet56_cifar", "epoch-10", "cpu").origin,
    "run": cnnviz.load(None, "run:bundled:lenet5_tanh@last", "cpu").name,
    "folders": [name for name in ("app", "pages", "assets", "docs", "tests") if importlib.util.find_spec(name)],
}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel and the sdist, built from this copy of the project."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nWhat is missing: pip install -r requirements-dev.txt"
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment of its own with the wheel in it, and beside it what is installed here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    (wheel,) = built.glob("*.whl")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*command, str(wheel)], check=True, timeout=300)
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    (site / "others.pth").write_text(str(Path(np.__file__).parents[1]))
    return python.parent


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What runs a program in a folder that has nothing to do with the project."""
    folder = tmp_path_factory.mktemp("elsewhere")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {"cwd": folder, "env": {**environment, "CNNVIZ_CACHE": str(folder / "cache")}}


def test_an_installed_library_is_the_same_as_the_project_s(installed: Path, elsewhere: dict[str, Any]):
    done = subprocess.run(
        [installed / "python", "-c", LIBRARY], capture_output=True, text=True, timeout=300, **elsewhere
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["file"]).is_relative_to(installed.parent) and found["folders"] == []
    assert found["public"] == cnnviz.__all__ and len(found["architectures"]) > 100
    assert set(found["architectures"]) <= set(cnnviz.architectures())  # where other tests' plugins may be, too
    model, photo = cnnviz.load("resnet20_cifar", "bundled", "cpu"), cnnviz.corpus("samples").image(0)
    assert found["origin"] == "bundled" and round(found["accuracy"], 3) == 0.921
    np.testing.assert_allclose(found["predicted"], model.predict(photo)[0], rtol=1e-4, atol=1e-6)
    assert found["layers"] == model.layers()
    assert (found["filters"], found["captured"]) == ([16, 3, 3, 3], [1, 32, 16, 16])
    assert (found["box"], found["best"]) == ([0, 8, 19, 29], 4)
    assert (found["snapshot"], found["run"]) == ("epoch-10", "lenet5_tanh")


def test_the_command_knows_everything_of_the_project_from_any_folder(installed: Path, elsewhere: dict[str, Any]):
    done = subprocess.run([installed / "cnnviz", "--help"], capture_output=True, text=True, timeout=100, **elsewhere)
    assert all(f"\n    {name} " in done.stdout for name in ("app", "class", "list", "show", "train", "doctor"))
    command = [installed / "cnnviz", "class", "--host", "127.0.0.1", "--tour", "no_such_tour"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, **elsewhere)
    assert done.returncode == 1 and "lecture" in done.stderr  # it found the app, and the tours that there are


def test_the_sdist_holds_what_its_tests_need(built: Path):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"Makefile", "README.md", "app/Home.py", "app/.streamlit/config.toml", ".oxlintrc.json"}
    wanted |= {f"{path.relative_to(ROOT)}" for folder in ("cnnviz", "tests") for path in (ROOT / folder).rglob("*.py")}
    assert wanted <= names


@pytest.fixture(scope="module")
def address(installed: Path, elsewhere: dict[str, Any]) -> Iterator[str]:
    """Where `cnnviz app` answers; it is ended as a service manager does it, and says so."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(installed / "cnnviz"), "app", "--no-browser", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **elsewhere) as app:
        until = time.monotonic() + PATIENCE / 1000
        while app.poll() is None and time.monotonic() < until and not _answers(url):
            time.sleep(0.1)
        yield url
        app.send_signal(signal.SIGTERM)
        said = app.communicate(timeout=60)[0]
    assert app.returncode == 143 and "Terminated. The app has ended." in said and url in said
    assert not _answers(url)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
        return True
    return False


@pytest.mark.browser
def test_an_installed_app_shows_its_pages(chromium: Any, address: str):
    someone = Visitor(chromium, address)
    someone.open("", anew=True)
    someone.until_chosen("Network", "resnet20_cifar")
    assert someone.tab.locator("img").count() > 0
    someone.open("filters")
    someone.picture("16 filters").wait_for()
    assert not re.search("not trained|random weights|broken", someone.main.inner_text(), re.IGNORECASE)
    assert someone.wrong == []
    someone.leave()
