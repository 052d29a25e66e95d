"""Preferred inputs: against torch-lucent at equal time, against the best of photographs, and over many networks.

`python -m benchmarks.preferred_inputs rival WEIGHTS [FIGURE.png]`: SqueezeNet, ten channels of four layers. Both make
an image for the unit in the middle of a channel's map, both on one core, and time is that of the processor, so that
other programs do not count. Both are judged by their image rounded to uint8 and passed through the plain network; of
the rival the largest value of the map counts, wherever it lies. torch-lucent is an extra, "bench".
`photographs WEIGHTS INDEX.npz`: how many channels of a layer are activated more by their image than by any photograph
of an index, and what it takes.
`networks [FILE …]`: every architecture of the catalogue below 30 million parameters, with random weights, or weights
files: a channel of a layer in the middle, and a class; works, or says why not."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

import cnnviz
from cnnviz.errors import CnnvizError
from cnnviz.models.catalogue.registry import find
from cnnviz.models.model import LoadedModel
from cnnviz.synthesis.maximize import maximize_activations, refine_activations
from cnnviz.synthesis.settings import SynthesisSettings

LAYERS = {"features.4": 256, "features.7": 256, "features.12": 96, "classifier.3": 64}  # and the steps of cnnviz
CHANNELS, RIVAL_STEPS, MOST = 10, 48, 30_000_000
SIDE = 150  # pixels of an image in the figure
Curve = list[tuple[float, float]]  # (seconds, activation), as time goes on


def compare_with_rival(weights: str, layers: list[str], figure: str | None) -> None:
    """Print what each reaches at equal time and how long it takes to reach the same."""
    try:
        from lucent.optvis import objectives, render  # type: ignore[import-not-found]
    except ImportError:
        sys.exit("This benchmark compares with torch-lucent: pip install torch-lucent==0.1.8 kornia==0.4.1")
    torch.set_num_threads(1)
    model = cnnviz.load("squeezenet1_0", weights, "cpu")
    everything: list[tuple[float, float]] = []
    pictures: list[tuple[str, np.ndarray, np.ndarray]] = []
    for layer in layers:
        steps, found = LAYERS.get(layer, 128), []
        for channel in _draw_channels(model, layer):
            ours, image = _follow(model, layer, channel, steps)
            theirs, rivals = _follow_rival(model, layer, channel, objectives, render)
            found.append((_ratio_at_equal_time(ours, theirs), _time_to_equal(ours, theirs)))
            pictures.append((f"{layer} {channel}", image, rivals))
            print(
                f"{layer:13} {channel:4}  {ours[-1][1]:9.3f} in {ours[-1][0]:5.2f} s, torch-lucent "
                f"{theirs[-1][1]:9.3f} in {theirs[-1][0]:5.2f} s",
                flush=True,
            )
        _print_medians(layer, found)
        everything += found
    _print_medians("all", everything)
    if figure:
        _draw(pictures, figure)


def _draw_channels(model: LoadedModel, layer: str) -> list[int]:
    """Ten channels, drawn with a fixed seed."""
    count = cnnviz.capture(model, np.full((224, 224, 3), 128, np.uint8), layer)[layer].shape[1]
    return sorted(np.random.default_rng(0).choice(count, CHANNELS, replace=False).tolist())


def _follow(model: LoadedModel, layer: str, channel: int, steps: int) -> tuple[Curve, np.ndarray]:
    """Activations as they are reached, and the image; what is looked up once a network was looked up before."""
    maximize_activations(model, layer, [channel], SynthesisSettings(steps=1))
    curve, start, result = Curve(), time.process_time(), None
    for results in refine_activations(model, layer, [channel], SynthesisSettings(steps=steps)):
        result = results[0]
        curve.append((time.process_time() - start, result.activation))
    assert result is not None
    return curve, result.patch


def _follow_rival(
    model: LoadedModel, layer: str, channel: int, objectives: Any, render: Any
) -> tuple[Curve, np.ndarray]:
    """The same of torch-lucent, with its own parameterisation, transformations and rate."""
    from lucent.optvis import param  # type: ignore[import-not-found]

    np.random.seed(0)
    torch.manual_seed(0)
    times, neuron = list[float](), objectives.neuron(layer.replace(".", "_"), channel)

    def objective(hook: Any) -> torch.Tensor:
        times.append(time.process_time())
        loss: torch.Tensor = neuron(hook)
        return loss

    marks = tuple(range(8, RIVAL_STEPS + 1, 8))
    start = time.process_time()
    images = render.render_vis(
        model.module, objective, lambda: param.image(224), thresholds=marks, progress=False, show_image=False
    )
    for module in model.module.modules():  # it leaves its hooks in the network
        module._forward_hooks.clear()
    ends = [*times[1:], time.process_time()]
    pixels = [(image[0] * 255).round().clip(0, 255).astype(np.uint8) for image in images]
    values = [float(_plain_map(model, image, layer)[channel].max()) for image in pixels]
    curve = [(ends[mark - 1] - start, max(values[: n + 1])) for n, mark in enumerate(marks)]
    box = cnnviz.receptive_field(model, layer)
    top, left, bottom, right = box.box(box.shape[0] // 2, box.shape[1] // 2)
    return curve, pixels[-1][top:bottom, left:right]


def _plain_map(model: LoadedModel, image: np.ndarray, layer: str) -> np.ndarray:
    """(C, H, W) of the layer for an image of the network's size, without a resize."""
    return cnnviz.capture(model, model.preprocessing.normalise(torch.from_numpy(image)), layer)[layer][0]


def _ratio_at_equal_time(ours: Curve, theirs: Curve) -> float:
    seconds, reached = theirs[-1]
    own = max((value for spent, value in ours if spent <= seconds), default=0.0)
    return own / reached if reached > 0 else float("inf")


def _time_to_equal(ours: Curve, theirs: Curve) -> float:
    """Seconds until ours has reached what the rival ends with, over the seconds of the rival until then."""
    reached = theirs[-1][1]
    spent = next(seconds for seconds, value in theirs if value >= reached)
    return next((seconds / spent for seconds, value in ours if value >= reached), float("inf"))


def _print_medians(name: str, found: list[tuple[float, float]]) -> None:
    ratios, times = zip(*found, strict=True)
    silent = sum(ratio == float("inf") for ratio in ratios)
    print(
        f"{name}: activation at equal time {statistics.median(ratios):.2f} times (median), time to equal activation "
        f"{statistics.median(times):.3f}; torch-lucent stays at 0 for {silent} of {len(found)}",
        flush=True,
    )


def _draw(pictures: list[tuple[str, np.ndarray, np.ndarray]], path: str) -> None:
    """Three channels of each layer: cnnviz above, torch-lucent below."""
    chosen = [picture for start in range(0, len(pictures), CHANNELS) for picture in pictures[start : start + 3]]
    sheet = Image.new("RGB", (len(chosen) * (SIDE + 4), 2 * SIDE + 24), (255, 255, 255))
    for number, (name, *images) in enumerate(chosen):
        ImageDraw.Draw(sheet).text((number * (SIDE + 4), 4), name, fill=(0, 0, 0))
        for row, image in enumerate(images):
            fitted = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(fitted, (number * (SIDE + 4), 20 + row * (SIDE + 4)))
    sheet.save(path, optimize=True)


def compare_with_photographs(weights: str, index_file: str, layers: list[str], most: int, steps: int) -> None:
    """Print the share of channels whose image is activated more than any photograph of the index."""
    model, index = cnnviz.load("squeezenet1_0", weights, "cpu"), cnnviz.PatchIndex.load(index_file)
    torch.set_num_threads(1)
    above = total = 0
    for layer in layers:
        alive = np.flatnonzero(index.strength(layer) > 0)
        channels = alive[np.linspace(0, len(alive) - 1, min(most, len(alive))).astype(int)]
        gains, start = list[float](), time.process_time()
        for part in np.array_split(channels, max(1, len(channels) // 8)):
            results = maximize_activations(model, layer, part.tolist(), SynthesisSettings(steps=steps), index=index)
            gains += [result.gain or 0.0 for result in results]
        above, total = above + sum(gain > 1 for gain in gains), total + len(gains)
        each = (time.process_time() - start) / len(gains)
        print(
            f"{layer:14} {sum(g > 1 for g in gains):3} of {len(gains):3} channels, median "
            f"{statistics.median(gains):.2f} times, least {min(gains):.2f}; {each:.2f} s of the processor each",
            flush=True,
        )
    print(f"all: {above} of {total}, {above / total:.1%}")


def try_networks(files: list[str]) -> None:
    """Print what works, and what does not and why."""
    works = 0
    names = files or [name for name in cnnviz.architectures() if ":" not in name]
    tried = 0
    for name, model in _open(names, bool(files)):
        if isinstance(model, str):
            print(f"{name}: not opened: {model}")
            continue
        tried += 1
        said, start = [], time.process_time()
        layers = model.layers()
        for layer in [layers[len(layers) // 2] if layers else None, None]:
            try:
                found = maximize_activations(model, layer, [0], SynthesisSettings(steps=8))[0]
                said.append(f"{layer or 'class'}: {found.history[0]:.3g} to {found.activation:.3g}")
            except CnnvizError as error:
                said.append(f"{layer or 'class'}: {error}")
        works += all("to" in words for words in said)
        print(f"{name}: {'; '.join(said)}; {time.process_time() - start:.1f} s", flush=True)
    print(f"{works} of {tried}")


def _open(names: list[str], are_files: bool) -> Iterator[tuple[str, LoadedModel | str]]:
    for name in names:
        try:
            if not are_files:
                with torch.device("meta"):
                    if sum(p.numel() for p in find(name).builder(10).parameters()) > MOST:
                        continue
            yield Path(name).name, cnnviz.load(None, name, "cpu") if are_files else cnnviz.load(name, "random", "cpu")
        except CnnvizError as error:
            yield Path(name).name, str(error)


def main() -> None:
    """Read the command line and run the part that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("rival", "photographs", "networks"))
    parser.add_argument("given", nargs="*")
    parser.add_argument("--layers", nargs="*", default=list(LAYERS))
    parser.add_argument("--most", type=int, default=32, help="channels of a layer")
    parser.add_argument("--steps", type=int, default=64)
    options = parser.parse_args()
    if options.part == "networks":
        try_networks(options.given)
    elif options.part == "rival":
        compare_with_rival(options.given[0], options.layers, options.given[1] if len(options.given) > 1 else None)
    else:
        weights, index = options.given
        compare_with_photographs(weights, index, options.layers, options.most, options.steps)


if __name__ == "__main__":
    main()
