"""Which output of a network each class of labelled images belongs to: a loss against the wrong ones says nothing."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.errors import BadInput

_NAMED = 3  # classes named in a message


def class_numbers(classes: Sequence[str], class_names: Sequence[str], source: str, otherwise: str) -> dict[str, int]:
    """{class of the images: output of the network}, by name: upper and lower case and underscores for spaces do not
    matter.

    Only a network whose outputs have no names ("class 0", …) takes as many classes in their order. `source`: what the
    message calls the images; `otherwise`: what can be done, a sentence. Raises BadInput where the classes are not the
    network's."""
    outputs = {_plain(name): number for number, name in enumerate(class_names)}
    strange = [name for name in classes if _plain(name) not in outputs]
    if not strange:
        return {name: outputs[_plain(name)] for name in classes}
    nameless = all(name == f"class {number}" for number, name in enumerate(class_names))
    if nameless and len(classes) == len(class_names):
        return {name: number for number, name in enumerate(classes)}
    raise BadInput(
        f"{source} has {len(classes)} classes, and {_some(strange)} {'is' if len(strange) == 1 else 'are'} not among "
        f"the {len(class_names)} of the network ({_some(class_names)}). {otherwise}"
    )


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
