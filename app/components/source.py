"""The scripts and style sheets of the components, which lie beside the Python file that shows them."""

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def read_source(*names: str) -> str:
    """The text of these files of this folder, one after the other: later ones may use what earlier ones define."""
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)
