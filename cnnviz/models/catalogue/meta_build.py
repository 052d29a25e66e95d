"""Build a network on the meta device, without memory, also one that computes while it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from torch import nn


def build_anywhere(make: Callable[[], nn.Module]) -> nn.Module:
    """What `make` returns. If it fails under `torch.device("meta")`, it is made on the CPU and goes to the meta
    device, so that whoever asks for shapes alone gets them. Raises what `make` raises on the CPU."""
    import torch

    meta = torch.get_default_device().type == "meta"
    try:
        return make()
    except CnnvizError:
        raise
    except Exception:
        if not meta:
            raise
    with torch.device("cpu"):
        return make().to("meta")
