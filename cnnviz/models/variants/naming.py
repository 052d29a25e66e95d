"""The one name of a network with changed activations, norms or dropout."""

from __future__ import annotations

from dataclasses import replace

import torch

from cnnviz.errors import BadInput
from cnnviz.models.catalogue.registry import build, find
from cnnviz.models.variants.description import NetworkVariant


def name_variant(base: str, activation: str | None = None, norm: bool = True, dropout: int | None = None) -> str:
    """The name of `base` with these changes, see `description`; changes that it does not allow, or that leave it as it
    is, are left out, so that a network has one name. `base`: of the catalogue, no variant. Raises UnknownName."""
    find(base)
    wanted = NetworkVariant(base)
    for change in ({"activation": activation}, {"norm": norm}, {"dropout": dropout}):
        tried = replace(wanted, **change)  # type: ignore[arg-type]
        if tried != wanted and _is_allowed(tried):
            wanted = tried
    return base if wanted == NetworkVariant(base) else wanted.name


def _is_allowed(variant: NetworkVariant) -> bool:
    try:
        with torch.device("meta"):
            build(variant.name)
    except BadInput:
        return False
    return True
