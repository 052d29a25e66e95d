"""The package's front door: light to import, complete, and clear about what it lacks."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cnnviz

ROOT = Path(__file__).resolve().parents[1]

CONTRACT = (
    "architectures build load capture first_layer_filters receptive_field corpus index_patches PatchIndex "
    "reconstruct record register LoadedModel anatomy filter_directions loss_surface equivariance maximize_activation"
).split()


def test_importing_cnnviz_loads_neither_torch_nor_numpy():
    code = "import cnnviz, sys; dir(cnnviz); print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_dir_lists_every_name_of_the_contract():
    assert set(CONTRACT) <= set(dir(cnnviz))
    assert set(CONTRACT) == set(cnnviz.__all__)


@pytest.mark.parametrize("name", CONTRACT)
def test_every_public_name_can_be_imported_and_is_documented(name):
    assert callable(getattr(cnnviz, name))
    assert getattr(cnnviz, name).__doc__


def test_an_unknown_name_is_an_attribute_error_that_lists_the_public_ones():
    with pytest.raises(AttributeError, match="first_layer_filters"):
        _ = cnnviz.nonsense


def test_the_version_is_that_of_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert cnnviz.__version__ == project["project"]["version"]
