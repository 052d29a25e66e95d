"""Fixtures that every test may use."""

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights that lie beside the project; absent elsewhere."""
    folder = ROOT.parent / "shared"
    if not (folder / "weights").is_dir():
        pytest.skip("real images and weights (../shared) are not here")
    return folder


@pytest.fixture
def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
