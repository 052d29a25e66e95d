"""Which figure a notebook shows for which result. See `cnnviz.display`."""

from __future__ import annotations

from importlib import import_module

_VIEWS = {
    "Anatomy": ("notebook_networks", "anatomy_html"),
    "FirstLayerFilters": ("notebook_networks", "filters_html"),
    "LayerView": ("notebook_index", "layer_html"),
    "LoadedModel": ("notebook_networks", "model_html"),
    "PatchIndex": ("notebook_index", "index_html"),
    "ReceptiveField": ("notebook_networks", "field_html"),
    "UnitView": ("notebook_index", "unit_html"),
}  # class → module and function; by name, as figures import no results


def html_of(result: object) -> str | None:
    """The HTML of a result, or of the nearest class above its own; None for anything else."""
    for kind in type(result).__mro__:
        if kind.__name__ in _VIEWS:
            module, function = _VIEWS[kind.__name__]
            return getattr(import_module(f"cnnviz.figures.{module}"), function)(result)
    return None
