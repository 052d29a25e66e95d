"""Every network of the zoos beside plain PyTorch: answers, every layer, multiply-adds, receptive fields, an index.

`python -m benchmarks.zoo_sweep FOLDER` adds a line a network to FOLDER/sweep.jsonl, with what agreed, what did not, and
what was left out and why; run again, it goes on where it stopped. Weights are random. One network a structure is
looked at first: others that differ only in their number of classes get the line "same". `--report` prints the table
of a folder. Nothing is downloaded."""

from __future__ import annotations

import argparse
import copy
import json
import re
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import permutations, zip_longest
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import cnnviz
from benchmarks.plain_pass import run_plainly, run_until, watched
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.models.catalogue.registry import find
from cnnviz.models.model import LoadedModel
from cnnviz.models.zoo import zoos

ZOOS = ("pytorchcv", "timm", "torchvision")
MOST = 30_000_000  # parameters
IMAGES, WINNERS, FIELD_LAYERS, UNITS = 10, 3, 3, 3
SMALL = 96  # pixels of the image, where a network takes one so small
TOLERANCE = 1e-3  # of the largest value: rounding is below, a wrong map far above
ROUNDINGS = 5  # two passes of float32 differ by so many times what one differs from float64, at most, over all images
_PRODUCTS = (nn.modules.conv._ConvNd, nn.Linear)


class TookTooLong(Exception):
    """A network was not done within its time."""


def compare_network(name: str, structures: set[str] | None = None) -> dict[str, Any]:
    """{check: worst relative difference, or a number of faults} of one network, "faults" in words, and "left out".

    `structures`: those seen before; a network of one of them is not looked at, a new one is added."""
    entry = find(name)
    with torch.device("meta"):
        empty = _build_empty(entry)
    count = sum(p.numel() for p in empty.parameters())
    if count > MOST:
        return {"left out": f"{count:,} parameters"}
    structure = describe_structure(empty, entry.classes)
    if structures is not None and structure in structures:
        return {"same": structure}
    model = load_small(name)
    plain = _copy_plainly(model)
    found: dict[str, Any] = {"parameters": count, "input": list(model.input_size), "structure": structure, "faults": []}
    images = [
        np.random.default_rng(i).integers(0, 256, (*model.input_size[1:], 3), dtype=np.uint8) for i in range(IMAGES)
    ]
    one = run_plainly(plain, model.batch(images[0]).contiguous(), model.layers())
    rounding = measure_rounding(plain, model.batch(images[0]).contiguous(), one)
    found["rounding"] = max(rounding.values(), default=0.0)
    orders, differences = compare_layers(model, images[0], one, found)
    strongest = [find_strongest(one, orders)]
    enlarges = max(rounding.values(), default=0.0) > TOLERANCE / ROUNDINGS / 10  # other images may do so far more
    for image in images[1:]:
        batch = model.batch(image).contiguous()
        one = run_plainly(plain, batch, model.layers())
        strongest.append(find_strongest(one, orders))
        if enlarges:
            other = measure_rounding(plain, batch, one)
            rounding = {layer: max(rounding.get(layer, 0.0), other.get(layer, 0.0)) for layer in {*rounding, *other}}
    for layer, worst in differences.items():
        _note(found, "capture", worst, f"{layer} came otherwise", rounding.get(layer, 0))
    check_answers(model, images, strongest, rounding, found)
    check_counts(model, plain, found)
    check_fields(model, plain, [layer for layer in model.layers("conv") if layer in orders], found)
    check_index(model, images, strongest, rounding, found)
    if structures is not None:
        structures.add(structure)
    return found


def _build_empty(entry: Any) -> nn.Module:
    try:
        return entry.builder(entry.classes)
    except Exception:  # its code computes with values
        with torch.device("cpu"):
            return entry.builder(entry.classes)


def describe_structure(module: nn.Module, classes: int) -> str:
    """The same of two networks that differ in their number of classes alone."""
    kinds = Counter(type(child).__name__ for child in module.modules())
    kept = sum(p.numel() for p in module.parameters() if not p.ndim or p.shape[0] != classes)
    return f"{kept} " + " ".join(f"{kind}{count}" for kind, count in sorted(kinds.items()))


def load_small(name: str) -> LoadedModel:
    """The network with random weights, on the CPU, for a small image where it takes one."""
    entry = find(name)
    own = entry.preprocessing
    if min(own.size) > SMALL:
        try:
            side = Preprocessing((SMALL, SMALL), None, own.mean, own.std)
            model = cnnviz.load(name, "random", device="cpu", preprocessing=side)
            if np.isfinite(model.logits(np.zeros((SMALL, SMALL, 3), np.uint8))).all():
                return model
        except TookTooLong:
            raise
        except Exception:  # a fixed last pool, a table of positions
            pass
    return cnnviz.load(name, "random", device="cpu")


def _copy_plainly(model: LoadedModel) -> nn.Module:
    """A contiguous copy of the network in eval mode. Where random weights leave the range of float32, both get the
    statistics of a batch of noise first."""
    with torch.no_grad():
        noise = torch.randn(4, *model.input_size, generator=torch.Generator().manual_seed(0))
        if not model.module(noise[:1]).isfinite().all():
            norms = [child for child in model.module.modules() if isinstance(child, nn.modules.batchnorm._BatchNorm)]
            for norm in norms:
                norm.momentum = 1.0
                norm.train()
            model.module(noise)
            for norm in norms:
                norm.momentum = 0.1
                norm.eval()
    return copy.deepcopy(model.module).to(memory_format=torch.contiguous_format).eval()


def find_strongest(one: dict[str, Tensor], orders: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """{layer: (C,) maxima of one image, "": the scores}, given the orders of `check_layers`."""
    moved = {layer: one[layer].permute(order) for layer, order in orders.items()}
    found = {layer: maps.reshape(len(maps), maps.shape[1], -1)[0].amax(1).numpy() for layer, maps in moved.items()}
    return {**found, "": one[""].reshape(-1).numpy()}


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest, relative to the largest value of `b`."""
    if a.shape != b.shape:
        return float("inf")
    scale = float(np.abs(b).max(initial=0)) or 1.0
    return float(np.abs(a.astype(np.float64) - b).max(initial=0)) / scale


def measure_rounding(plain: nn.Module, batch: Tensor, one: dict[str, Tensor]) -> dict[str, float]:
    """{layer: how far float32 alone, `one` of `run_plainly`, is from float64}; "": of the probabilities. Deep networks
    with random weights enlarge rounding layer by layer. Empty where a network does not run in float64."""
    layers = [layer for layer in one if layer]
    try:
        exact = run_plainly(copy.deepcopy(plain).double(), batch.double(), layers)
    except TookTooLong:
        raise
    except Exception:  # its code makes float32 tensors
        return {}
    found = {layer: difference(one[layer].numpy(), exact[layer].numpy()) for layer in layers if layer in exact}
    shares = [scores.reshape(1, -1).double().softmax(1).numpy() for scores in (one[""], exact[""])]
    return {**found, "": difference(*shares)}


def _note(found: dict[str, Any], check: str, worst: float, words: str, rounding: float = 0.0) -> None:
    found[check] = max(found.get(check, 0.0), worst)
    if not worst <= max(TOLERANCE, ROUNDINGS * rounding):
        found["faults"].append(f"{check}: {words} ({worst:.2g})")


def check_answers(
    model: LoadedModel,
    images: list[np.ndarray],
    strongest: list[dict[str, np.ndarray]],
    rounding: dict[str, float],
    found: dict[str, Any],
) -> None:
    """predict, two images at once, against the softmax of plain PyTorch."""
    scores = torch.from_numpy(np.stack([one[""] for one in strongest[:2]])).double()
    want = (scores.softmax(1) if not model.trial.ending else scores).numpy()
    _note(found, "predict", difference(model.predict(images[:2]), want), "other probabilities", rounding.get("", 0))


def compare_layers(
    model: LoadedModel, image: np.ndarray, one: dict[str, Tensor], found: dict[str, Any]
) -> tuple[dict[str, tuple[int, ...]], dict[str, float]]:
    """capture against plain PyTorch: {layer: the order of the axes of its output that gives (N, C, places)}, and
    {layer: the relative difference}."""
    layers = [layer for layer in model.layers() if layer in one]
    found["layers"], found["not run"] = len(layers), len(model.layers()) - len(layers)
    orders: dict[str, tuple[int, ...]] = {}
    differences: dict[str, float] = {}
    for layer, maps in cnnviz.capture(model, image, layers).items():
        raw = one[layer].numpy()
        candidates = [raw.transpose(order) for order in permutations(range(raw.ndim))]
        fitting = [(difference(maps, c.reshape(maps.shape)), i) for i, c in enumerate(candidates) if _fits(c, maps)]
        differences[layer], which = min(fitting, default=(float("inf"), 0))
        orders[layer] = list(permutations(range(raw.ndim)))[which]
    return orders, differences


def _fits(candidate: np.ndarray, maps: np.ndarray) -> bool:
    alike = candidate.shape[:2] == maps.shape[:2] if candidate.ndim > 1 else candidate.size == maps.size
    return alike and candidate.size == maps.size


def check_counts(model: LoadedModel, plain: nn.Module, found: dict[str, Any]) -> None:
    """anatomy's parameters and multiply-adds against those of convolutions and linear layers."""
    counted = 0
    layers = {name: child for name, child in plain.named_modules() if isinstance(child, _PRODUCTS)}

    def count(name: str, inputs: Any, output: Tensor) -> None:
        nonlocal counted
        module: Any = layers[name]
        if not isinstance(output, Tensor):  # a convolution of a kind of its own, whose parts are counted
            return
        if isinstance(module, nn.Linear):
            counted += output.numel() * module.in_features
        else:
            counted += (inputs[0] if module.transposed else output).numel() * module.weight[0].numel()

    with torch.no_grad(), watched(layers, count):
        plain(torch.zeros(1, *model.input_size))
    table = cnnviz.anatomy(model)
    found["macs"], found["macs of layers"] = table.macs, counted
    if table.parameters != sum(p.numel() for p in plain.parameters()):
        found["faults"].append(f"parameters: {table.parameters:,}")
    if table.macs < counted:
        found["faults"].append(f"macs: {table.macs:,}, layers have {counted:,}")


def check_fields(model: LoadedModel, plain: nn.Module, layers: list[str], found: dict[str, Any]) -> None:
    """Units whose field leaves pixels out: everything outside is NaN in a float64 copy, the unit must not notice."""
    chosen = [layers[i] for i in sorted({0, len(layers) // 3, 2 * len(layers) // 3} if layers else set())]
    double = copy.deepcopy(plain).double()
    base = torch.randn(1, *model.input_size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found["units"] = 0
    for layer in chosen[:FIELD_LAYERS]:
        try:
            field = cnnviz.receptive_field(model, layer)
        except BadInput:
            continue
        rows, cols = field.shape
        for row, col in [(0, 0), (rows // 2, cols // 2), (rows - 1, cols // 3)][:UNITS]:
            top, left, bottom, right = field.box(row, col)
            if (bottom - top, right - left) == tuple(model.input_size[1:]):
                continue
            broken = torch.full_like(base, float("nan"))
            broken[:, :, top:bottom, left:right] = base[:, :, top:bottom, left:right]
            unit = run_until(double, layer, broken)
            if unit.ndim != 4 or tuple(unit.shape[2:]) != (rows, cols):
                continue
            found["units"] += 1
            if unit[0, :, row, col].isnan().any():
                found["faults"].append(f"field: unit {row, col} of {layer} sees more than {field.box(row, col)}")


def check_index(
    model: LoadedModel,
    images: list[np.ndarray],
    strongest: list[dict[str, np.ndarray]],
    rounding: dict[str, float],
    found: dict[str, Any],
) -> None:
    """The strongest activations of every channel, and whose image they are, against plain PyTorch's outputs."""
    corpus = MemoryCorpus("noise", [f"{i}" for i in range(len(images))], images)
    index = cnnviz.index_patches(model, corpus, k=WINNERS)
    found["indexed"] = len(index.layers)
    for layer in index.layers:
        every = np.stack([one[layer] for one in strongest])
        best = -np.sort(-every, axis=0)[:WINNERS].T  # (C, k)
        top = index.tops[layer]
        known = rounding.get(layer, 0)
        _note(found, "index", difference(top.values, best), f"{layer}: other values", known)
        named = np.take_along_axis(every.T, top.images, axis=1)
        _note(found, "index images", difference(named, best), f"{layer}: other images", known)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TookTooLong inside after so many seconds."""

    def ring(*_: Any) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def describe_network(name: str, seconds: float, structures: set[str] | None) -> dict[str, Any]:
    """`compare_network` within its time, as a line of the results; an exception is a fault in words."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    start = time.monotonic()
    try:
        with limited(seconds):
            found = compare_network(name, structures)
    except TookTooLong:
        found = {"left out": f"not done in {seconds:g} s"}
    except CnnvizError as error:
        found = {"refused": str(error)}
    except Exception as error:
        found = {"faults": [f"{type(error).__name__}: {error}"[:300]]}
    return {"name": name, "seconds": round(time.monotonic() - start, 1), **found}


def list_names(wanted: Sequence[str]) -> list[str]:
    """The networks of the installed zoos among `wanted`, one of each family in turn."""
    installed = [zoo for zoo in wanted if zoos.is_installed(zoo)]
    for zoo in set(wanted) - set(installed):
        print(f"{zoo} is left out: it is not installed", file=sys.stderr)
    return [name for turn in zip_longest(*(_by_families(zoo) for zoo in installed)) for name in turn if name]


def _by_families(zoo: str) -> list[str]:
    families: dict[str, list[str]] = {}
    for name in zoos.names(zoo):
        families.setdefault(re.match(r"[a-zA-Z]*", name)[0], []).append(f"{zoo}:{name}")  # type: ignore[index]
    return [name for turn in zip_longest(*families.values()) for name in turn if name]


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The lines that a folder holds."""
    file = folder / "sweep.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def print_report(results: Sequence[dict[str, Any]]) -> None:
    """Coverage a zoo, the faults, and what was left out with its reason."""
    print("| zoo | equal | other | same structure | refused | left out |\n|---|---|---|---|---|---|")
    for zoo in ZOOS:
        lines = [line for line in results if line["name"].startswith(f"{zoo}:")]
        keys = ("same", "refused", "left out")
        equal = sum("predict" in line and not line["faults"] for line in lines)
        other = sum(bool(line.get("faults")) for line in lines)
        print(f"| {zoo} | {equal} | {other} | " + " | ".join(str(sum(k in line for line in lines)) for k in keys), "|")
    for line in results:
        reason = line.get("refused") or line.get("left out") or "; ".join(line.get("faults", [])[:3])
        if reason and not reason.endswith(" parameters"):
            print(f"- {line['name']}: {reason}")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--zoo", nargs="+", default=list(ZOOS))
    parser.add_argument("--names", nargs="+", help="these networks, e.g. timm:resnet18")
    parser.add_argument("--limit", type=int, help="so many networks more")
    parser.add_argument("--seconds", type=float, default=120, help="for each network")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--every", action="store_true", help="also those that differ in their classes alone")
    parser.add_argument("--report", action="store_true")
    chosen = parser.parse_args(arguments)
    done = read_results(chosen.folder)
    if not chosen.report:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        seen = {line["name"] for line in done if not chosen.every or "same" not in line}
        names = [name for name in chosen.names or list_names(chosen.zoo) if name not in seen][: chosen.limit]
        structures = None if chosen.every else {line["structure"] for line in done if "structure" in line}
        with (chosen.folder / "sweep.jsonl").open("a") as file:
            for line in sweep(names, chosen.seconds, structures, chosen.processes):
                print(json.dumps(line), file=file, flush=True)
    print_report(read_results(chosen.folder))


def sweep(names: list[str], seconds: float, structures: set[str] | None, processes: int) -> Iterator[dict[str, Any]]:
    """Lines as they come."""
    if processes == 1:
        yield from (describe_network(name, seconds, structures) for name in names)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(describe_network, name, seconds, structures) for name in names]):
            yield future.result()


if __name__ == "__main__":
    main()
