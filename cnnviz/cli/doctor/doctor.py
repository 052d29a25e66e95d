"""Say whether everything works here: versions, devices, caches, plugins, bundled weights, what works offline."""

import argparse
import os
import platform
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cnnviz.errors import CnnvizError

PACKAGES = ("torch", "torchvision", "streamlit", "captum", "plotly", "opencv-python", "scikit-image", "safetensors")
EXTRAS = ("timm", "pytorchcv")
LOCAL = ("localhost", "127.0.0.1", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes no arguments of its own."""


def run(options: argparse.Namespace) -> None:
    """Print the report; a part that is broken is named and the others go on. The last part is a real prediction
    with every bundled network."""
    parts: dict[str, Callable[[], None]] = {
        "Versions": _print_versions,
        "Devices": _print_devices,
        "Caches": _print_caches,
        "Offline": _print_offline,
        "Plugins": _print_plugins,
        "App": _print_address,
        "Bundled networks": _try_bundled,
    }
    broken = []
    for title, part in parts.items():
        print(title)
        try:
            part()
        except (Exception, SystemExit) as error:
            kind = "" if isinstance(error, CnnvizError) else f"{type(error).__name__}: "
            print(f"  broken: {kind}{error}")
            broken.append(title)
    print(f"Broken: {', '.join(broken)}." if broken else "Everything works.")


def _print_versions() -> None:
    print(f"  {'Python':14} {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        print(f"  {package:14} {_find_version(package, 'missing: pip install -r requirements.txt')}")
    for package in EXTRAS:
        missing = f'not installed (optional): pip install "cnnviz[{package}]"'
        print(f"  {package:14} {_find_version(package, missing)}")


def _find_version(package: str, missing: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return missing


def _print_devices() -> None:
    from cnnviz.device import CPU_VARIABLE, available, choose, describe, fast_bfloat16

    for device in available():
        info = describe(device)
        gain = "bfloat16 is fast here" if fast_bfloat16(device) else "float32 (bfloat16 is not faster here)"
        chosen = "  <- auto" if device == str(choose("auto")) else ""
        print(f"  {device:8} {info.name}, {info.memory_total / 2**30:.0f} GiB, {gain}{chosen}")
    if wanted := os.environ.get(CPU_VARIABLE):
        print(f"  {CPU_VARIABLE}: {wanted}")


def _print_caches() -> None:
    import torch

    from cnnviz.data.public.public_files import data_folder

    own = Path(os.environ.get("CNNVIZ_CACHE") or "~/.cache/cnnviz").expanduser()
    weights = Path(torch.hub.get_dir()) / "checkpoints"
    for title, folder in (("weights", weights), ("data", data_folder()), ("app", own)):
        print(f"  {title:8} {_measure_folder(folder):>10}  {folder}")
    for variable in ("CNNVIZ_WEIGHTS_MIRROR", "CNNVIZ_DATA_MIRROR", "HF_ENDPOINT"):
        if value := os.environ.get(variable):
            print(f"  {variable}: {value}")


def _measure_folder(folder: Path) -> str:
    if not folder.is_dir():
        return "not there"
    total = 0
    for root, _, files in os.walk(folder):  # what cannot be read is left out
        for file in files:
            try:
                total += os.lstat(os.path.join(root, file)).st_size
            except OSError:
                continue
    return f"{total / 1e6:,.1f} MB"


def _print_offline() -> None:
    from cnnviz.data.public.public_files import SETS, is_here
    from cnnviz.models.bundled import bundled, snapshots
    from cnnviz.models.catalogue.cards import all_cards
    from cnnviz.models.zoo.packaged import packaged

    here = [card.name for card in all_cards() if card.here and card.weights == "pretrained"]
    sets = [name for name in SETS if is_here(name)]
    print("  works offline: every architecture with random weights; sample photographs and digits")
    print(f"  bundled weights: {', '.join(bundled()) or 'none'}")
    print(f"  packaged weights here: {', '.join(packaged()) or 'none'}")
    print(f"  as they were in training: {', '.join(name for name in bundled() if snapshots(name)) or 'none'}")
    print(f"  pretrained weights here: {', '.join(here) or 'none'} (bring more: cnnviz prefetch NAME)")
    print(f"  data sets here: {', '.join(sets) or 'none'} (bring more: cnnviz prefetch --data NAME)")


def _print_plugins() -> None:
    from cnnviz.models.catalogue.plugins import list_plugins

    found = list_plugins()
    for plugin in found:
        print(f"  {plugin.problem}" if plugin.problem else f"  {plugin.path}: {', '.join(plugin.names)}")
    if not found:
        print("  none (name files in CNNVIZ_PLUGINS or with --plugin)")


def _print_address() -> None:
    """Whether others could reach the app: a plugin, an upload and the GPU are then theirs to use, too."""
    address, source = _find_address()
    port = os.environ.get("STREAMLIT_SERVER_PORT") or "8501"
    if address in LOCAL:
        print(f"  Home is at http://localhost:{port}, for this machine alone ({source})")
    else:
        where = f"at {address}" if address not in ("", "0.0.0.0", "::") else "from every network of this machine"
        print(f"  Home would be public: reachable {where} ({source}). Whoever opens it uses this machine.")
        print("  For this machine alone: streamlit run app/Home.py --server.address 127.0.0.1")


def _find_address() -> tuple[str, str]:
    """(address, who says so), in Streamlit's order: environment, the project's file, the user's file."""
    if address := os.environ.get("STREAMLIT_SERVER_ADDRESS"):
        return address, "STREAMLIT_SERVER_ADDRESS"
    import cnnviz

    project = Path(cnnviz.__file__).resolve().parents[1]
    for folder in (Path.cwd(), project, Path.home()):
        file = folder / ".streamlit" / "config.toml"
        if file.is_file():
            address = tomllib.loads(file.read_text(encoding="utf-8")).get("server", {}).get("address")
            if address:
                return address, str(file)
    return "", "no server.address is set"


def _try_bundled() -> None:
    from cnnviz.data.samples import draw_digit, sample_names, sample_photo
    from cnnviz.models.bundled import bundled
    from cnnviz.models.load import load
    from cnnviz.models.zoo.packaged import packaged

    failed = []
    trained = {name: "bundled" for name in bundled()} | {name: "packaged" for name in packaged()}
    for name, weights in trained.items():
        try:
            model = load(name, weights)
            image = draw_digit(3) if model.input_size[0] == 1 else sample_photo(sample_names()[0])
            best = int(model.predict(image)[0].argmax())
        except CnnvizError as error:
            print(f"  {name:18} broken: {error}", file=sys.stdout)
            failed.append(name)
            continue
        accuracy = model.notes.get("accuracy") or {}
        scored = f"{accuracy['test']:.1%} on {accuracy['test_images']:,} test images" if "test" in accuracy else weights
        print(f"  {name:18} {scored}; works (answers {model.class_names[best]!r})")
    if failed:
        raise CnnvizError(f"{', '.join(failed)} cannot be used.")
