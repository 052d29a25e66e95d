"""Say whether everything works here: versions, devices, caches, bundled weights, what works offline."""

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "torchvision", "streamlit", "captum", "plotly", "opencv-python", "scikit-image", "safetensors")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes no arguments."""


def run(options: argparse.Namespace) -> None:
    """Print the report; the last part is a real prediction with every bundled network."""
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        print(f"  {package:14} {_version(package)}")
    _devices()
    _caches()
    _bundled()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing: pip install -r requirements.txt"


def _devices() -> None:
    from cnnviz.device import available, choose, describe, fast_bfloat16

    print("Devices")
    for device in available():
        info = describe(device)
        gain = "bfloat16 is fast here" if fast_bfloat16(device) else "float32"
        chosen = "  <- auto" if device == str(choose("auto")) else ""
        print(f"  {device:8} {info.name}, {info.memory_total / 2**30:.0f} GiB, {gain}{chosen}")


def _caches() -> None:
    from cnnviz.data.fetching import SETS, data_folder, is_here
    from cnnviz.models.pretrained import MIRROR, cache_path, entry
    from cnnviz.models.registry import architectures, find

    public = [name for name in architectures() if find(name).pretrained]
    here = [name for name in public if cache_path(entry(find(name)).url).is_file()]
    print("Offline")
    print(f"  pretrained weights here: {', '.join(here) or 'none'} (bring more: cnnviz prefetch NAME)")
    sets = [name for name in SETS if is_here(name)]
    print(f"  data sets here: {', '.join(sets) or 'none'}, in {data_folder()}")
    for variable in (MIRROR, "CNNVIZ_DATA_MIRROR"):
        if value := os.environ.get(variable):
            print(f"  {variable}: {value}")


def _bundled() -> None:
    from cnnviz.data.samples import digit, sample_names, sample_photo
    from cnnviz.models.bundled import bundled
    from cnnviz.models.load import load

    print("Bundled networks")
    for name in bundled():
        model = load(name, "bundled")
        image = digit(3) if model.input_size[0] == 1 else sample_photo(sample_names()[0])
        best = int(model.predict(image)[0].argmax())
        accuracy = model.notes.get("accuracy") or {}
        scored = f"{accuracy['test']:.1%} on {accuracy['test_images']:,} test images" if "test" in accuracy else "?"
        print(f"  {name:16} {scored}; works (answers {model.class_names[best]!r})")
