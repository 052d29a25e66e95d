"""Groups of images that show the same thing: crops of a photograph, frames of a video, shots of a burst."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cnnviz.errors import BadInput

EACH, SOURCE, NAME, FOLDER = "image", "source", "name", "folder"
_SUFFIX, _LAST_NUMBER = re.compile(r"\.[A-Za-z]\w*$"), re.compile(r"[ _.(\-]*\d+\D*$")
_CHOICES = f"Choose {EACH!r}, {NAME!r}, {FOLDER!r}, or a pattern such as r'(.*)_frame'."


def check_grouping(rule: str) -> str:
    """`rule` if `find_group` knows it. Raises BadInput, naming the rules, otherwise."""
    if rule in (EACH, SOURCE, NAME, FOLDER):
        return rule
    try:
        groups = re.compile(rule).groups
    except re.error as error:
        raise BadInput(f"group {rule!r} is no regular expression ({error}). {_CHOICES}") from error
    if groups != 1:
        raise BadInput(f"group {rule!r} needs one pair of parentheses around what names a group. {_CHOICES}")
    return rule


def find_group(rule: str, image_id: str) -> str:
    """The name of the group that an image belongs to; its own id where the rule says nothing of it.

    `rule`: "image", each by itself; "source", what stands before the first "/", as in the ids of the samples; "folder",
    the folder of the file; "name", the path up to the last number in the file's name ("walk_0012.jpg", "walk_0013.jpg"
    and "walk 3.png" are of one group, "0012.jpg" is by itself); or a regular expression whose parentheses hold the
    group's name."""
    folder, slash, file = image_id.rpartition("/")
    if rule == SOURCE:
        return image_id.partition("/")[0]
    if rule == FOLDER:
        return folder if slash else image_id
    if rule == NAME:
        stem = _LAST_NUMBER.sub("", _SUFFIX.sub("", file))
        return f"{folder}{slash}{stem}" if stem else image_id
    if rule != EACH and (found := re.search(rule, image_id)) and found[1]:
        return found[1]
    return image_id


def number_groups(rule: str, ids: Iterable[str]) -> list[int]:
    """A number an image, equal for images of one group, from 0 in the order of the groups' first images."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(find_group(rule, image_id), len(numbers)) for image_id in ids]


def describe_grouping(rule: str) -> str:
    """How many winners there can be of what, in words: "one an image", "one a source photograph", …"""
    known = {EACH: "image", SOURCE: "source photograph", NAME: "series of files", FOLDER: "folder"}
    return f"one a{'n' if rule == EACH else ''} {known[rule]}" if rule in known else f"one a group {rule!r}"
