"""Results that notebooks display as a picture: `_repr_html_`."""

from __future__ import annotations


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
