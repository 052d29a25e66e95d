"""Mapping the classes of labelled images to the outputs of a network, by name or order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cnnviz.errors import BadInput
from cnnviz.wording import plural

_NAMED = 3  # classes named in a message
_WORDNET, _IMAGENET = re.compile(r"n\d{8}"), 1000


def map_classes(classes: Sequence[str], class_names: Sequence[str], source: str, otherwise: str) -> dict[str, int]:
    """{class of the images: output of the network}, by name: upper and lower case and underscores for spaces do not
    matter where no two outputs differ in them alone.

    The folders of ImageNet, 1,000 WordNet identifiers such as n01440764, are in the order of a network's 1,000 outputs.
    Besides, only a network whose outputs have no names ("class 0", …) takes as many classes in their order. `source`:
    what the message calls the images; `otherwise`: what can be done, a sentence. Raises BadInput where the classes are
    not the network's."""
    exact = {name: number for number, name in enumerate(class_names)}
    alike = Counter(map(_simplify, class_names))
    outputs = {_simplify(name): number for name, number in exact.items() if alike[_simplify(name)] == 1}
    found = {name: exact.get(name, outputs.get(_simplify(name))) for name in classes}
    strange = [name for name, number in found.items() if number is None]
    if not strange:
        return {name: number for name, number in found.items() if number is not None}
    nameless = all(name == f"class {number}" for number, name in enumerate(class_names))
    imagenet = len(class_names) == _IMAGENET and all(map(_WORDNET.fullmatch, classes))
    if (nameless or imagenet) and len(classes) == len(class_names):
        return {name: number for number, name in enumerate(sorted(classes) if imagenet else classes)}
    verb, network = "is" if len(strange) == 1 else "are", f"the {len(class_names)} of the network"
    raise BadInput(
        f"{source} has {plural(len(classes), 'class')}, and {_list_some(strange)} {verb} not among {network} "
        f"({_list_some(class_names)}). {otherwise}"
    )


def _simplify(name: str) -> str:
    return name.casefold().replace("_", " ")


def _list_some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
