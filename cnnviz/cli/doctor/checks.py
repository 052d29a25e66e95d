"""What `cnnviz doctor` tries: packages, files of cnnviz, folders, devices, plugins, bundled networks."""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from cnnviz.errors import PACKAGES, CnnvizError, explain_import
from cnnviz.paths import CACHE, cache_root, project
from cnnviz.store import why_unwritable

WORKS, NOTE, BROKEN = "works", "note", "broken"
OPTIONAL = ("timm", "pytorchcv", "h5py", "streamlit-webrtc")
LOCAL = ("localhost", "127.0.0.1", "::1")
ANSWERS = {  # network: (class, its logit) on the first sample photograph, or on the digit 3; float32
    "lenet5": ("3", 13.892),
    "lenet5_avg": ("3", 12.454),
    "lenet5_tanh": ("3", 10.533),
    "nin_cifar10": ("truck", 7.573),
    "plain20_cifar": ("dog", 5.084),
    "plain56_cifar": ("truck", 3.329),
    "resnet20_cifar": ("truck", 6.162),
    "resnet56_cifar": ("dog", 6.777),
    "efficientnet_lite0": ("football helmet", 6.279),
}
_NEAR = 0.05  # of a logit: other processors round otherwise
_MODULES = {package: module for module, package in PACKAGES.items()}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried. `state`: WORKS, BROKEN, or NOTE, which is neither."""

    name: str
    state: str
    text: str


def check_versions() -> Iterator[Check]:
    """Python, and every package that cnnviz needs: its version, and whether it can be imported."""
    yield Check("Python", WORKS, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for package, wanted in read_requirements().items():
        yield _check_package(package, wanted)
    for package in OPTIONAL:
        module = _MODULES.get(package, package)
        try:
            with _quiet():
                import_module(module)
            yield Check(package, WORKS, version(package))
        except Exception as error:  # noqa: BLE001, other people's code
            absent = isinstance(error, ModuleNotFoundError) and error.name == module
            optional = f"not installed (optional): pip install {package}"
            yield Check(package, *((NOTE, optional) if absent else (BROKEN, explain_import(module, error))))


@contextmanager
def _quiet() -> Iterator[None]:
    """No log messages of packages that find themselves imported by a command."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def read_requirements() -> dict[str, str]:
    """{package: versions, ">=2.11,<2.16"} that cnnviz needs: of the project's file, else of what is installed."""
    file = project() / "pyproject.toml"
    if file.is_file():
        lines = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        lines = [line for line in requires("cnnviz") or [] if "extra ==" not in line]
    parts = [re.match(r"([\w.-]+)\s*\(?([^;)]*)", line) for line in lines]
    return {part[1]: part[2].strip() for part in parts if part}


def _check_package(package: str, wanted: str) -> Check:
    from packaging.specifiers import SpecifierSet

    module = _MODULES.get(package, package)
    try:
        if package == "torchvision":
            import cnnviz.torchvision_import  # noqa: F401  by its front door
        with _quiet():
            import_module(module)
    except Exception as error:  # noqa: BLE001, other people's code
        return Check(package, BROKEN, explain_import(module, error))
    try:
        found = version(package)
    except PackageNotFoundError:  # opencv-python-headless in place of opencv-python, for one
        return Check(package, WORKS, getattr(import_module(module), "__version__", "of unknown version"))
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        return Check(package, BROKEN, f"{found}, and cnnviz needs {wanted}: pip install '{package}{wanted}'")
    return Check(package, WORKS, found)


def check_devices() -> Iterator[Check]:
    """What computes here, and which of them is chosen by itself."""
    from cnnviz.device import CPU_VARIABLE, available, choose, describe, fast_bfloat16

    for device in available():
        info = describe(device)
        gain = "bfloat16 is fast here" if fast_bfloat16(device) else "float32 (bfloat16 is not faster here)"
        chosen = "  <- auto" if device == str(choose("auto")) else ""
        yield Check(device, WORKS, f"{info.name}, {info.memory_total / 2**30:.0f} GiB, {gain}{chosen}")
    if wanted := os.environ.get(CPU_VARIABLE):
        yield Check(CPU_VARIABLE, NOTE, wanted)


def check_files() -> Iterator[Check]:
    """The app and the bundled files: whether all are where they belong."""
    from cnnviz.landscape.bundled import landscapes
    from cnnviz.models.bundled import SHIPPED, assets, bundled, recorded_folder, snapshots

    home = project() / "app" / "Home.py"
    yield Check("app", *((WORKS, str(project())) if home.is_file() else (BROKEN, f"{home} is missing")))
    again = "Install cnnviz again, or fetch the project's folder assets/ anew"
    missing = [name for name in SHIPPED if name not in bundled()]
    weights = f"{', '.join(bundled()) or 'none'} in {assets()}"
    if missing:
        weights = f"{', '.join(missing)} missing in {assets()}. {again}"
    yield Check("weights", BROKEN if missing else WORKS, weights)
    kept = [name for name in bundled() if snapshots(name)]
    runs = [name for name in bundled() if recorded_folder(name)]
    for title, found in (("snapshots", kept), ("trainings", runs), ("landscapes", list(landscapes()))):
        yield Check(title, *((WORKS, ", ".join(found)) if found else (BROKEN, f"none in {assets()}. {again}")))


def check_folders() -> Iterator[Check]:
    """Whether cnnviz can write where it keeps things."""
    from cnnviz.data.public.public_files import data_folder
    from cnnviz.models.runs.folder import runs_folder
    from cnnviz.models.zoo.download import cache_path

    weights = cache_path("https://example.org/weights.pth").parent
    places = (("app", CACHE, cache_root()), ("data", "CNNVIZ_DATA", data_folder()), ("weights", "TORCH_HOME", weights))
    for title, variable, folder in (*places, ("runs", "CNNVIZ_RUNS", runs_folder())):
        problem = why_unwritable(folder)
        if problem:
            needed = title != "runs" or os.environ.get(variable)  # without a name it is wherever one happens to be
            text = f"{folder}: {problem}. Name a folder that can be written in {variable}"
            yield Check(title, BROKEN if needed else NOTE, text)
        else:
            yield Check(title, WORKS, f"{_measure_folder(folder)}  {folder}")
    for variable in ("CNNVIZ_WEIGHTS_MIRROR", "CNNVIZ_DATA_MIRROR", "HF_ENDPOINT"):
        if value := os.environ.get(variable):
            yield Check(variable, NOTE, value)


def _measure_folder(folder: Path) -> str:
    if not folder.is_dir():
        return "not there yet"
    total = 0
    for root, _, files in os.walk(folder):  # what cannot be read is left out
        for file in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, file)).st_size
    return f"{total / 1e6:,.1f} MB, {shutil.disk_usage(folder).free / 1e9:,.0f} GB free"


def check_offline() -> Iterator[Check]:
    """What works without a connection."""
    from cnnviz.data.public.public_files import SETS, is_here
    from cnnviz.models.catalogue.cards import all_cards
    from cnnviz.models.zoo.packaged import packaged

    here = [card.name for card in all_cards() if card.here and card.weights == "pretrained"]
    sets = [name for name in SETS if is_here(name)]
    yield Check("always", WORKS, "every architecture with random weights, bundled weights, photographs and digits")
    yield Check("packaged", NOTE, ", ".join(packaged()) or "none")
    yield Check("pretrained", NOTE, f"{', '.join(here) or 'none'} (bring more: cnnviz prefetch NAME)")
    yield Check("data sets", NOTE, f"{', '.join(sets) or 'none'} (bring more: cnnviz prefetch --data NAME)")


def check_plugins() -> Iterator[Check]:
    """The user's own networks."""
    from cnnviz.models.catalogue.plugins import list_plugins

    found = list_plugins()
    for plugin in found:
        text = plugin.problem or ", ".join(plugin.names)
        yield Check(str(plugin.path), BROKEN if plugin.problem else WORKS, text)
    if not found:
        yield Check("plugins", NOTE, "none (name files in CNNVIZ_PLUGINS or with --plugin)")


def check_address() -> Iterator[Check]:
    """Whether others could reach the app: a plugin, an upload and the GPU are then theirs to use, too."""
    address, source = _find_address()
    port = os.environ.get("STREAMLIT_SERVER_PORT") or "8501"
    if address in LOCAL:
        yield Check("address", WORKS, f"http://localhost:{port}, for this machine alone ({source})")
        return
    where = f"at {address}" if address not in ("", "0.0.0.0", "::") else "from every network of this machine"
    yield Check(
        "address",
        NOTE,
        f"Home would be public: reachable {where} ({source}). Whoever opens it uses this machine. For this machine "
        "alone: cnnviz app, or streamlit run app/Home.py --server.address 127.0.0.1",
    )


def _find_address() -> tuple[str, str]:
    """(address, who says so), in Streamlit's order: environment, the project's file, the user's file."""
    if address := os.environ.get("STREAMLIT_SERVER_ADDRESS"):
        return address, "STREAMLIT_SERVER_ADDRESS"
    for folder in (Path.cwd(), project() / "app", Path(os.path.expanduser("~"))):
        file = folder / ".streamlit" / "config.toml"
        if file.is_file():
            address = tomllib.loads(file.read_text(encoding="utf-8")).get("server", {}).get("address")
            if address:
                return address, str(file)
    return "", "no server.address is set"


def check_networks() -> Iterator[Check]:
    """A prediction with every bundled network and every one of a package, compared with what it should be."""
    from cnnviz.models.bundled import SHIPPED, bundled
    from cnnviz.models.zoo.packaged import PACKAGES as PACKAGED

    names = {name: "bundled" for name in (*SHIPPED, *bundled())} | {name: "packaged" for name in PACKAGED}
    for name, weights in names.items():
        try:
            yield _check_network(name, weights)
        except CnnvizError as error:
            yield Check(name, BROKEN, str(error))


def _check_network(name: str, weights: str) -> Check:
    from cnnviz.data.samples import draw_digit, sample_names, sample_photo
    from cnnviz.models.load import load

    model = load(name, weights, "cpu")
    logits = model.logits(draw_digit(3) if model.input_size[0] == 1 else sample_photo(sample_names()[0]))[0]
    best = int(logits.argmax())
    answer, logit = model.class_names[best], float(logits[best])
    accuracy = model.notes.get("accuracy") or {}
    scored = f"{accuracy['test']:.1%} on {accuracy['test_images']:,} test images" if "test" in accuracy else weights
    if name not in ANSWERS:
        return Check(name, NOTE, f"{scored}; answers {answer!r}")
    expected, usual = ANSWERS[name]
    if answer != expected or abs(logit - usual) > _NEAR:
        text = f"answers {answer!r} ({logit:.2f}) where {expected!r} ({usual:.2f}) is right: the weights are others"
        return Check(name, BROKEN, text)
    return Check(name, WORKS, f"{scored}; works (answers {answer!r}, as it should)")
