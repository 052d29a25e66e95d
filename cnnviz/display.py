"""How results show themselves: as a picture in a notebook, `_repr_html_`, and in one line, `__repr__`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

_LONGEST = 60  # characters of one value


class Displayed:
    """A result that notebooks show as a picture: `_repr_html_` is what IPython calls on the last value of a cell.

    The notebook asks the object itself, so here, and only here, the way leads from a result up to its figures.
    Results therefore know nothing but this class, the figures are imported when they are asked for, and which
    figure belongs to which result is written down in `figures.notebook` alone."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        """HTML that needs no script and no other file; None leaves the notebook to the text."""
        from cnnviz.figures.notebook.html import html_of

        return html_of(self)


class Summarised:
    """A dataclass, declared with repr=False, that prints itself in one line: of arrays kind and shape, of long values
    how many there are."""

    __slots__ = ()

    def __repr__(self) -> str:
        assert is_dataclass(self)
        shown = [f"{field.name}={_summarise(getattr(self, field.name))}" for field in fields(self) if field.repr]
        return f"{type(self).__name__}({', '.join(shown)})"


def _summarise(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"<{value.dtype} {tuple(value.shape)}>"
    text = repr(value)
    if len(text) <= _LONGEST and "\n" not in text:
        return text
    if isinstance(value, list | tuple | dict | set | frozenset):
        return f"<{len(value)} in a {type(value).__name__}>"
    return f"{text[:_LONGEST]}…".replace("\n", " ") if isinstance(value, str) else f"<{type(value).__name__}>"
