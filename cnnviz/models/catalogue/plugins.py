"""Networks of the user's own: Python files with `@cnnviz.register(...)`, named in $CNNVIZ_PLUGINS or on the
command line. Such a file is a program that runs; it never comes through an upload."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cnnviz.data.class_names import order_names
from cnnviz.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.models.catalogue import architecture, validate
from cnnviz.models.catalogue.decorating import bind_own_name
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import nn

VARIABLE = "CNNVIZ_PLUGINS"  # paths of Python files, separated as in PATH
FAMILY = "Own networks"
DEFAULT = 10  # classes where nobody says how many
Builder = TypeVar("Builder", bound="Callable[..., nn.Module]")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin file that was to be loaded. `names`: the networks it registered. `problem`: why it could not be used, ""
    if it could; then nothing of it is in the catalogue."""

    path: Path
    names: tuple[str, ...] = ()
    problem: str = ""


_files: dict[Path, Plugin] = {}
_digests: dict[str, str] = {}  # network: sha256 of the file that entered it, as it was run
_lock = threading.RLock()
_pending: list[architecture.Architecture] | None = None  # what the file that runs now has registered so far
_typed: set[str] = set()  # networks whose class stands in no file but in a notebook or at the prompt
_configured: str | None = None  # the value of VARIABLE that was dealt with


def register(
    name: str,
    *,
    input_size: tuple[int, int, int] = (3, 224, 224),
    classes: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    title: str = "",
    labels: Sequence[str] | Mapping[Any, Any] | str | None = None,
    resize: int | None = None,
    year: int = 0,
    source: str = "",
    note: str = "",
) -> Callable[[Builder], Builder]:
    """Decorator that enters a class or function `(num_classes) -> nn.Module` in the catalogue as `name`.

    The argument may be called otherwise (`n_classes`, `out_features`, …) and stand anywhere; one that takes no number
    of classes always has those that it answers. `input_size`: (C, H, W). `classes`: the default number; None: 10.
    `mean`, `std`: a value a channel, of pixels in 0..1; None: ImageNet's for three channels, else 0.5. `labels`: class
    names as a list, {index: name} or {name: index}, or "imagenet", "cifar10", "cifar100", "mnist", "svhn"; None:
    "class 0", …. `resize`: short side in pixels before the centre crop.
    The network is tried at once, on one image: it must answer (1, num_classes) for two numbers of classes.
    In a notebook the cell can be run again: the new network takes the earlier one's place.
    Raises BadInput, with what is wrong, if it does not, if a value makes no sense or the name is taken.

        @cnnviz.register("my_net", input_size=(3, 32, 32), classes=10, labels="cifar10")
        class MyNet(nn.Module):
            def __init__(self, num_classes: int = 10) -> None: ...

    Example:
        >>> import cnnviz
        >>> from torch import nn
        >>> @cnnviz.register("one_layer", input_size=(1, 8, 8), classes=2)
        ... def one_layer(num_classes: int) -> nn.Module:
        ...     return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, num_classes))
        >>> cnnviz.anatomy("one_layer").parameters
        330
    """
    listed = labels if isinstance(labels, Sequence | Mapping) and labels and not isinstance(labels, str) else ()
    count = classes if classes is not None else len(listed) or DEFAULT
    validate.check_values(name, input_size, count, labels)
    channels = input_size[0]
    mean = mean if mean is not None else IMAGENET_MEAN if channels == 3 else (0.5,) * channels
    std = std if std is not None else IMAGENET_STD if channels == 3 else (0.5,) * channels
    mean, std = ((float(v),) if isinstance(v, int | float) else tuple(map(float, v)) for v in (mean, std))
    preprocessing = Preprocessing((input_size[1], input_size[2]), resize, mean, std)
    if preprocessing.channels != channels:
        raise BadInput(
            f"{name}: input_size has {plural(channels, 'channel')}, mean and std have {preprocessing.channels}."
        )
    named = labels if labels is None or isinstance(labels, str) else order_names(labels)
    names = named if isinstance(named, str) else tuple(named or (f"class {i}" for i in range(count)))

    def enter(builder: Builder) -> Builder:
        file = getattr(sys.modules.get(getattr(builder, "__module__", "")), "__file__", None)
        home = Path(file).name if file else "typed in"
        where = source or f"{home}, {getattr(builder, '__qualname__', type(builder).__name__)}"
        guarded = validate.GuardedBuilder(builder, name, (channels, *preprocessing.size))
        if classes is None and listed and not guarded.fixed:
            validate.check_count(name, names, DEFAULT)
        entry = architecture.Architecture(
            name=name,
            title=title or name,
            family=FAMILY,
            builder=guarded,
            preprocessing=preprocessing,
            classes=count,
            labels=names,
            source=where,
            year=year,
            note=note,
        )
        with bind_own_name(builder):
            tried = validate.try_out(entry, classes is not None or bool(listed))
        _enter(tried, typed=file is None)
        return builder

    return enter


def load_file(path: str | Path) -> Plugin:
    """Run the Python file `path`, once a process, and enter the networks it registers, all or none.

    Raises BadInput with file, line and reason if it cannot be used."""
    global _pending
    path = Path(path).expanduser().resolve()
    with _lock:
        if path not in _files:
            architecture.published()
            _files[path], before, _pending = Plugin(path), _pending, []
            try:
                digest = _run(path)
                architecture.add(*_pending)
                _digests.update((entry.name, digest) for entry in _pending)
                _files[path] = Plugin(path, tuple(entry.name for entry in _pending))
            except (Exception, SystemExit) as error:
                _files[path] = Plugin(path, problem=_describe_failure(path, error))
            finally:
                _pending = before
        plugin = _files[path]
    if plugin.problem:
        raise BadInput(plugin.problem)
    return plugin


def find_digest(name: str) -> str:
    """sha256, hex, of the plugin file that entered the network `name`, as it was when it ran; "" for any other."""
    return _digests.get(name, "")


def load_configured() -> None:
    """Load what $CNNVIZ_PLUGINS names. A file that cannot be used ends nothing: see `problems`."""
    global _configured
    wanted = os.environ.get(VARIABLE, "")
    if wanted == _configured:
        return
    with _lock:
        if wanted == _configured or _pending is not None:  # this very thread runs a plugin that asks
            return
        for path in filter(None, wanted.split(os.pathsep)):
            try:
                load_file(path)
            except BadInput:
                pass  # kept in its Plugin
        _configured = wanted


def list_plugins() -> list[Plugin]:
    """Every plugin file that was to be loaded so far, in that order."""
    architecture.published()
    load_configured()
    return list(_files.values())


def list_problems() -> list[str]:
    """A sentence for every file that could not be used."""
    return [plugin.problem for plugin in list_plugins() if plugin.problem]


def _enter(entry: architecture.Architecture, typed: bool) -> None:
    architecture.published()
    if _pending is None:
        architecture.replace(entry) if typed and entry.name in _typed else architecture.add(entry)
        _typed.update([entry.name] if typed else [])
        return
    if architecture.is_registered(entry.name) or entry.name in (other.name for other in _pending):
        raise BadInput(f"An architecture named {entry.name!r} is registered already: choose another name.")
    _pending.append(entry)


def _run(path: Path) -> str:
    """Run the file; the sha256 of its bytes."""
    if not path.is_file():
        raise BadInput(f"there is no such file. Correct the path, also in {VARIABLE} if it stands there")
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"cnnviz_plugin_{path.stem}_{digest}", path)
    if spec is None or spec.loader is None:
        raise BadInput("it is no Python file: its name must end in .py")
    import cnnviz.torchvision_import  # noqa: F401  which the file may import, while another thread is within it

    code = hashlib.sha256(path.read_bytes()).hexdigest()
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look their module up
    sys.path.append(str(path.parent))  # what lies beside the file can be imported by it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    if not _pending:
        raise BadInput("it registers no network. Put @cnnviz.register(NAME, …) above a class or function in it")
    return code


def _describe_failure(path: Path, error: BaseException) -> str:
    lines: list[int | None] = []
    cause: BaseException | None = error
    while cause is not None:  # the first cause is the nearest to the mistake
        lines += [frame.lineno for frame in traceback.extract_tb(cause.__traceback__) if Path(frame.filename) == path]
        cause = cause.__cause__
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == path:
        lines = [error.lineno]
    place = f"{path}, line {lines[-1]}" if lines else str(path)
    kind = "" if isinstance(error, CnnvizError) else f"{type(error).__name__}: "
    text = (str(error) or "no message").strip().rstrip(".")
    return f"The plugin {place} could not be used: {kind}{text}."
