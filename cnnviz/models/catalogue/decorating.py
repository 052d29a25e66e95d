"""A class under a decorator, used before Python has given it its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import CellType, FunctionType
from typing import Any

_NOTHING = object()


@contextmanager
def bind_own_name(builder: Any) -> Iterator[None]:
    """Inside, the methods of a class find it under its name, as in `super(LeNet, self).__init__()`, though the
    decorator has not returned yet; in a notebook not its namesake of an earlier run either. Afterwards the name is what
    it was. Functions are left alone."""
    methods = [*_list_functions(builder)] if isinstance(builder, type) else []
    name = getattr(builder, "__name__", "")
    spaces = {id(method.__globals__): method.__globals__ for method in methods}.values()
    earlier = [(space, space.get(name, _NOTHING)) for space in spaces]
    cells = {id(cell): cell for method in methods for cell in _find_cells(method, name)}.values()
    held = [(cell, _read_cell(cell)) for cell in cells]
    for space in spaces:
        space[name] = builder
    for cell in cells:
        cell.cell_contents = builder
    try:
        yield
    finally:
        for space, value in earlier:
            if value is _NOTHING:
                space.pop(name, None)
            else:
                space[name] = value
        for cell, value in held:
            if value is _NOTHING:
                del cell.cell_contents
            else:
                cell.cell_contents = value


def _list_functions(builder: type) -> Iterator[FunctionType]:
    for value in vars(builder).values():
        value = getattr(value, "fget", None) or getattr(value, "__func__", value)  # properties, static methods
        if isinstance(value, FunctionType):
            yield value


def _find_cells(method: FunctionType, name: str) -> Iterator[CellType]:
    """The variable `name` of the function that the class is defined in, where a method uses it."""
    for free, cell in zip(method.__code__.co_freevars, method.__closure__ or (), strict=True):
        if free == name:
            yield cell


def _read_cell(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return _NOTHING
