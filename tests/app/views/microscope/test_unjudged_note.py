"""Pages with back-projections say which functions of a network no rule of rectifiers reaches."""

import pytest
import torch
from app_jobs import when_built
from app_pages import errors
from torch import nn

SAID = "Rectifiers not recognised"


class Strange(nn.Module):
    """Two convolutions with x²·σ(x), or with ReLU, between them."""

    def __init__(self, classes: int, known: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.known = nn.Linear(4, classes), known

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = torch.relu(x) if self.known else x * x * torch.sigmoid(x)
        return self.head(self.second(x).mean((2, 3)))


def captions(at) -> str:
    return " ".join(c.value for c in at.caption)


@pytest.mark.parametrize(
    ("page", "known"), [("unit", False), ("unit", True), ("top9", False), ("feature_maps", False), ("inspect", False)]
)
def test_the_note_stands_where_a_function_is_not_known_and_nowhere_else(page, known, opened, registered):
    name = registered(f"strange_{known}", lambda classes: Strange(classes, known), 1)
    view = {"view": "Attribution"} if page == "inspect" else {}
    at = when_built(opened(page, net=name, layer="second", unit="1", **view)).run()
    assert errors(at) == []
    assert (SAID in captions(at)) is not known
