"""What is known of a public weights file before it is downloaded: `PublicWeights`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import UnknownName

HUB, HUB_VARIABLE = "https://huggingface.co", "HF_ENDPOINT"


@dataclass(frozen=True, slots=True)
class PublicWeights:
    """What is known of a public file before it is downloaded.

    `name`: of the weights, e.g. "ResNet50_Weights.IMAGENET1K_V2". `source`: who publishes it. `meta`:
    "categories", the class names; "_metrics", {data set: {"acc@1": percent, …}}; "recipe", an address.
    `condition`: how the accuracy was measured. `size_bytes`: 0 if not published."""

    name: str
    source: str
    url: str
    preprocessing: Preprocessing
    meta: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    condition: str = ""
    size_bytes: int = 0
    note: str = ""


def unknown_tag(network: str, tag: str, tags: Iterable[str]) -> NoReturn:
    """Raise UnknownName for weights that a zoo's network does not have, naming those it has."""
    has = ", ".join(sorted(tags)) or "no public weights"
    raise UnknownName(f"{network} has no weights named {tag!r}. It has: {has}.")
