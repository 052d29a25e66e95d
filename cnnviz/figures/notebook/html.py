"""HTML of a result in a notebook: which function draws which class. See `cnnviz.display`."""

from __future__ import annotations

from importlib import import_module

_VIEWS = {
    "Anatomy": ("networks", "anatomy_html"),
    "FirstLayerFilters": ("networks", "filters_html"),
    "LayerView": ("index", "layer_html"),
    "LoadedModel": ("networks", "model_html"),
    "PatchIndex": ("index", "index_html"),
    "PreferredInput": ("synthesis", "preferred_html"),
    "PreferredWall": ("synthesis", "preferred_wall_html"),
    "ReceptiveField": ("networks", "field_html"),
    "UnitView": ("index", "unit_html"),
}  # class → module and function; by name, as figures import no results


def html_of(result: object) -> str | None:
    """The HTML of a result, or of the nearest class above its own; None for anything else."""
    for kind in type(result).__mro__:
        if kind.__name__ in _VIEWS:
            module, function = _VIEWS[kind.__name__]
            return getattr(import_module(f"cnnviz.figures.notebook.{module}"), function)(result)
    return None
