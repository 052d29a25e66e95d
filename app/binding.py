"""Widgets whose value lives in the URL; app/address.py keeps both equal."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import address


def bound(widget: Callable[..., Any], label: str, key: str, default: Any, **options: Any) -> Any:
    """A widget whose value lives in the URL and moves along to other pages. A value that is not among the
    options, or not between `min_value` and `max_value`, gives way to `default`."""
    if "options" in options:
        named = {str(option): option for option in options["options"]}
        address.settle(key, default, named.get, options["options"])
    elif isinstance(default, bool):
        address.settle(key, default, lambda text: text.lower() in ("true", "1", "yes", "on"))
    elif "min_value" in options:
        numbers = range(options["min_value"], options["max_value"] + 1)
        address.settle(key, default, _whole_number, numbers)
    else:
        address.settle(key, default, str)
    value = widget(label, key=key, persist_state="session", **options)
    address.keep(key, value, default)
    return value


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def bound_choice(label: str, key: str, options: list[str]) -> str:
    """One of a few options, side by side; the first is the default."""
    return bound(st.segmented_control, label, key, options[0], options=options, required=True)
