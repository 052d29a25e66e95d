"""One pass over a corpus that keeps the k strongest activations of every channel of every wanted layer.

Memory holds channels × k records and a few batches, whatever the size of the corpus."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.errors import BadImage, BadInput
from cnnviz.models.loaded import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import ForwardStopped, call_counts, modules_for, split_call, visiting
from cnnviz.probes.patchindex import LayerTop, PatchIndex
from cnnviz.probes.receptive import receptive_field

if TYPE_CHECKING:
    from cnnviz.data.corpora import Corpus

PRECISIONS = ("auto", "float32", "bfloat16")
FIRST_SAVE, SAVE_EVERY = 2.0, 20.0  # seconds until a partial index is saved, and between two saves


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """Images done of how many, images a second, and the estimated seconds left."""

    done: int
    total: int
    images_per_second: float
    seconds_left: float


Progress = Callable[[IndexProgress], bool | None]


def index_patches(
    model: LoadedModel,
    corpus: Corpus,
    layers: list[str] | None = None,
    k: int = 9,
    out: str | Path | None = None,
    precision: str = "auto",
    progress: Progress | None = None,
    batch: int = 32,
) -> PatchIndex:
    """The k strongest activations of every channel, one winner an image.

    Values are the named layers' own outputs (a convolution's before its ReLU). Ties go to the lowest
    position on the map, then to the earlier image. `layers`: None indexes every layer of
    `model.layers()`. `precision`: "float32" and "auto" search exactly; "bfloat16" is the fast,
    approximate search. `out`: file for the index; a partial index found there is continued if it belongs
    to the same model, corpus and settings. `progress`: called after every batch; returning False stops
    the run, and the partial index is saved and returned with `complete` False.
    Raises BadInput for wrong settings, UnknownName for a layer the network has not."""
    if precision not in PRECISIONS:
        raise BadInput(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}.")
    if k < 1 or batch < 1:
        raise BadInput(f"k and batch must be at least 1, got k={k}, batch={batch}.")
    names = list(layers) if layers is not None else model.layers()
    modules_for(model.module, names)
    names = _that_run(model, names)
    meta = {
        "model": model.name, "model_fingerprint": model.fingerprint, "weights": model.origin,
        "wanted_layers": names, "k": k, "batch": batch,
        "preprocessing": json.loads(json.dumps(model.preprocessing.as_dict())), "corpus": corpus.name,
        "corpus_fingerprint": corpus.fingerprint,
        "precision": "bfloat16" if precision == "bfloat16" else "float32", "torch": torch.__version__,
    }  # fmt: skip
    search = _Search(model, names, k, precision == "bfloat16", meta)
    search.resume(out)
    started, first = time.monotonic(), search.next
    next_save = started + FIRST_SAVE
    for images, positions, end in _batches(model, corpus, search.next, batch, search.skipped):
        search.add(images, positions, corpus)
        search.next = end
        rate = (end - first) / max(time.monotonic() - started, 1e-9)
        go_on = progress is None or progress(IndexProgress(end, len(corpus), rate, (len(corpus) - end) / rate))
        if go_on is False:
            break
        if out is not None and time.monotonic() > next_save:
            search.result(len(corpus)).save(out)
            next_save = time.monotonic() + SAVE_EVERY
    if search.next >= len(corpus) and len(search.skipped) == len(corpus):
        reason = search.skipped[0][1] if search.skipped else "it is empty"
        raise BadInput(f"No image of {corpus.name} could be read: {reason}")
    index = search.result(len(corpus))
    if out is not None:
        index.save(out)
    return index


def _that_run(model: LoadedModel, names: list[str]) -> list[str]:
    """The layers that run in a forward pass (branches used only in training do not), each once."""
    with model.lock:
        counts = call_counts(model.module, torch.zeros(1, *model.input_size, device=model.device))

    def runs(layer: str) -> bool:
        name, call = split_call(layer)
        return 1 <= (1 if call is None else call) <= counts[name]

    return [layer for layer in dict.fromkeys(names) if runs(layer)]


def _batches(
    model: LoadedModel, corpus: Corpus, start: int, size: int, skipped: list[tuple[str, str]]
) -> Iterator[tuple[Tensor | None, list[int], int]]:
    """(uint8 (B, H, W, C), positions, next position); images are decoded ahead by two threads.

    A batch in which nothing could be read comes as (None, [], next)."""

    def read(position: int) -> np.ndarray | str:
        try:
            return model.receive(corpus.image(position))
        except BadImage as error:
            return str(error)

    spans = [(at, min(at + size, len(corpus))) for at in range(start, len(corpus), size)]
    with ThreadPoolExecutor(2) as pool:
        ahead: list[list[Future]] = []
        try:
            for number, (low, high) in enumerate(spans):
                while len(ahead) < 2 and number + len(ahead) < len(spans):
                    ahead.append([pool.submit(read, i) for i in range(*spans[number + len(ahead)])])
                results = [future.result() for future in ahead.pop(0)]
                skipped += [(corpus.ids[low + i], r) for i, r in enumerate(results) if isinstance(r, str)]
                good = [(low + i, r) for i, r in enumerate(results) if not isinstance(r, str)]
                pixels = torch.from_numpy(np.stack([r for _, r in good])) if good else None
                yield pixels, [i for i, _ in good], high
        finally:  # who cancels does not wait for images that nobody will look at
            pool.shutdown(wait=False, cancel_futures=True)


def _places(maps: Tensor, entering: Tensor) -> Tensor:
    """(N, C) flat position of the first maximum of each map (N, C, H, W) that is `entering`; 0 elsewhere.

    Searching only the few maps that enter the top k makes the search cheap beside the forward pass."""
    places = torch.zeros(entering.shape, dtype=torch.long, device=maps.device)
    image, channel = entering.nonzero(as_tuple=True)
    if len(image):
        places[image, channel] = maps[image, channel].flatten(1).float().max(dim=1).indices
    return places


class _Search:
    """The running top k. All of it lives on the model's device until the end."""

    def __init__(self, model: LoadedModel, layers: list[str], k: int, bfloat16: bool, meta: dict[str, Any]) -> None:
        self.model, self.layers, self.k, self.bfloat16, self.meta = model, layers, k, bfloat16, meta
        self.next, self.skipped, self.ids = 0, [], {}
        self.tops: dict[str, tuple[Tensor, Tensor, Tensor]] = {}  # values, images, flat positions: (C, k)
        self.widths: dict[str, int] = {}

    def resume(self, out: str | Path | None) -> None:
        """Take over a partial index of the same run; raise BadInput if `out` belongs to another."""
        if out is None or not Path(out).exists():
            return
        before = PatchIndex.load(out)
        changed = [key for key, value in self.meta.items() if before.meta.get(key) != value]
        if changed:
            raise BadInput(
                f"{out} is an index of something else (different {', '.join(changed).replace('_', ' ')}). "
                "Choose another file, or remove it to start anew."
            )
        self.next, self.skipped, self.ids = before.meta["next"], before.meta["skipped"], dict(before.ids)
        self.skipped = [tuple(item) for item in self.skipped]
        for layer, top in before.tops.items():
            self.widths[layer] = before.meta["widths"][layer]
            flat = torch.from_numpy(top.rows * self.widths[layer] + top.cols)
            state = (torch.from_numpy(top.values), torch.from_numpy(top.images), flat)
            self.tops[layer] = tuple(t.to(self.model.device) for t in state)  # type: ignore[assignment]

    def add(self, pixels: Tensor | None, positions: list[int], corpus: Corpus) -> None:
        """Run one batch, uint8 (B, H, W, C), and merge its maxima."""
        if pixels is None:
            return
        model, device = self.model, self.model.device
        images = torch.tensor(positions, device=device)
        remaining = 0

        def visit(call: str, output: Tensor) -> None:
            nonlocal remaining
            for layer in names[call]:
                self._merge(layer, as_maps(output), images)
            remaining -= 1
            if remaining == 0:
                raise ForwardStopped

        with model.lock, torch.inference_mode():
            batch = model.preprocessing.normalise(pixels.to(device)).contiguous(memory_format=torch.channels_last)
            counts = call_counts(model.module, batch)
            names: dict[str, list[str]] = {}  # "relu" and "relu:2" may be the same call
            for name in self.layers:
                often = split_call(name)[1] is None and counts[name] > 1
                names.setdefault(f"{name}:{counts[name]}" if often else name, []).append(name)
            remaining = len(names)
            autocast = torch.autocast(device.type, torch.bfloat16) if self.bfloat16 else nullcontext()
            with autocast, visiting(model.module, list(names), visit):
                try:
                    model.module(batch)
                except ForwardStopped:
                    pass
        for position in positions:
            self.ids[position] = corpus.ids[position]
        if len(self.ids) > 4 * self.k * sum(len(v) for v, _, _ in self.tops.values()):
            self._forget_losers()

    def _merge(self, layer: str, maps: Tensor, images: Tensor) -> None:
        """Top k of the running winners and this batch, (N, C, H, W). Earlier images come first and the
        sort is stable, so equal values keep the earlier image."""
        values = maps.amax(dim=(2, 3)).float().nan_to_num(nan=float("-inf"))  # a damaged net must not win everything
        if layer not in self.tops:
            self.widths[layer] = maps.shape[3]
            shape = (maps.shape[1], self.k)
            empty = torch.full(shape, float("-inf"), device=values.device)
            none = torch.full(shape, -1, device=values.device)
            self.tops[layer] = (empty, none, torch.zeros_like(none))
        best, of, at = self.tops[layer]
        flat = _places(maps, values > best[:, -1])  # equal values of later images do not enter
        all_values = torch.cat([best, values.T], 1)
        all_images = torch.cat([of, images.expand(maps.shape[1], -1)], 1)
        all_flat = torch.cat([at, flat.T], 1)
        order = all_values.sort(dim=1, descending=True, stable=True).indices[:, : self.k]
        self.tops[layer] = (
            all_values.gather(1, order), all_images.gather(1, order), all_flat.gather(1, order)
        )  # fmt: skip

    def _forget_losers(self) -> None:
        winners = {int(i) for _, images, _ in self.tops.values() for i in images.unique().tolist()}
        self.ids = {position: name for position, name in self.ids.items() if position in winners}

    def result(self, total: int) -> PatchIndex:
        """The index as it stands, with exact crop boxes."""
        self._forget_losers()
        tops = {}
        for layer in self.layers:
            if layer not in self.tops:
                continue
            values, images, flat = (t.cpu().numpy() for t in self.tops[layer])
            rows, cols = np.divmod(flat, self.widths[layer])
            boxes, full = self._boxes(layer, images, rows, cols)
            tops[layer] = LayerTop(values.astype(np.float32), images, rows, cols, boxes, full)
        meta = self.meta | {
            "next": self.next, "images": total, "complete": self.next >= total, "widths": self.widths,
            "skipped": [list(item) for item in self.skipped],
        }  # fmt: skip
        return PatchIndex(tops, self.ids, meta)

    def _boxes(
        self, layer: str, images: np.ndarray, rows: np.ndarray, cols: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        field = receptive_field(self.model, layer)
        known: dict[tuple[int, int], tuple[Any, Any]] = {}
        boxes, full = np.zeros((*images.shape, 4), np.int64), np.zeros((*images.shape, 4), np.int64)
        for at in np.argwhere(images >= 0):
            unit = int(rows[tuple(at)]), int(cols[tuple(at)])
            if unit not in known:
                known[unit] = field.box(*unit), field.box(*unit, clip=False)
            boxes[tuple(at)], full[tuple(at)] = known[unit]
        return boxes, full
