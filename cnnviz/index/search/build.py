"""Building a patch index: one pass over a corpus that keeps the k strongest activations of every channel.

Memory holds channels × k records and a few batches, whatever the size of the corpus."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cnnviz.data.grouping import EACH
from cnnviz.device import halving, precision_meta, usable_precision
from cnnviz.errors import BadInput
from cnnviz.index import files as partials
from cnnviz.index.agreement import AgreementMonitor, measure_agreement
from cnnviz.index.crops.crops import refuse_side
from cnnviz.index.crops.source import Source
from cnnviz.index.merge import find_unseen, list_seen, share
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.batch_size import SMALL, choose_batch_size
from cnnviz.index.search.run import IndexRun, IndexWatcher
from cnnviz.index.search.spatial import find_misplaced
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import describe_absence
from cnnviz.probes.forward import count_calls, find_modules, name_call

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus

PRECISIONS = ("auto", "float32", "bfloat16")
MANY = 500  # images from which on it pays to measure the best batch size


def index_patches(
    model: LoadedModel,
    corpus: Corpus,
    layers: list[str] | None = None,
    k: int = 9,
    out: str | Path | None = None,
    precision: str = "auto",
    progress: IndexWatcher | None = None,
    batch: int | None = None,
    workers: int | None = None,
    part: tuple[int, int] | None = None,
    embed: int | None = None,
) -> PatchIndex:
    """The k strongest activations of every channel, one winner an image, or a group of images that show
    the same thing (see `corpus`), and statistics of every channel.

    Values are the named layers' own outputs: a convolution's before its ReLU; for those behind it name the ReLU, any
    name of `model.module.named_modules()` will do. Ties go to the lowest position on the map, then to the earlier
    image. `layers`: None indexes every layer of `model.layers()` whose units have a place in the image, see
    `spatial.find_misplaced`; of the others, and of those that never run, meta["left_out"] says why. `precision`:
    "auto" and "float32" search exactly, in float32; "bfloat16" is the fast, approximate search and states its
    "agreement"; a processor that is slow in it searches in float32 instead, and meta["precision_asked"] says so.
    `out`: file for the index; a partial index found there, or left beside it by a run of several ranks, is continued
    if it belongs to the same model, corpus and settings. `progress`: called after every batch; returning False stops
    the run, and the partial index is saved and returned with `complete` False. `batch`: images a forward pass; None
    measures which size is fastest here. `workers`: see `loader.feed`. `part`: (i, n) indexes part i (0 … n - 1) of n
    alone, for `merge`; all parts need the same `batch`. `embed`: keep crops of the winners, at most so many pixels
    wide and high (1 to 64). The index that is returned knows its network and images, so that a notebook shows its
    patches. Where memory is short and no `batch` was asked for, fewer images go through the network at once.
    Raises BadInput for wrong settings and for a layer without such units, UnknownName for a layer the network has
    not, DeviceLost where there is no room for one image, CnnvizError if the index cannot be written; a partial index
    on disk is then as it was after the last save.

    Example:
        >>> import cnnviz
        >>> model, digits = cnnviz.load("lenet5", device="cpu"), cnnviz.corpus("digits", limit=20)
        >>> index = cnnviz.index_patches(model, digits, ["conv2"], k=3)
        >>> len(index.top("conv2", 7)), index.statistics["conv2"].maximum.shape
        (3, (16,))
    """
    refuse_side(embed)
    settings = prepare_settings(model, corpus, layers, k, precision, batch)
    if part is not None and (batch is None or not 0 <= part[0] < part[1]):
        raise BadInput(f"part is (i, n), i from 0 to n - 1, and needs a batch for all parts, got {part}, {batch}.")
    files = partials.load_files(out)
    settings = partials.adopt_precision(settings, (index.meta for index in files.values()), precision)
    before = partials.join_files(files, settings, out) if files else None
    first = choose_batch(model, corpus, settings, before)

    def search(size: int) -> tuple[PatchIndex, AgreementMonitor | None]:
        spans = find_unseen(list_seen(before) if before else [], len(corpus), size)
        if part is not None:
            mine = set(share(find_unseen([], len(corpus), size), *part))
            spans = [span for span in spans if span in mine]
        if before is not None and not spans:
            return before, None
        run = IndexRun(model, corpus, settings | {"batch": size}, spans, before, out, progress)
        return run.run(workers), run.monitor

    fixed = batch is not None or before is not None  # all parts of one index have the same batch
    index, monitor = search(first) if fixed else halving(search, first, model.device)
    return finish_index(index, model, corpus, out, embed, index is not before or len(files) > 1, monitor)


def prepare_settings(
    model: LoadedModel, corpus: Corpus, layers: list[str] | None, k: int, precision: str, batch: int | None
) -> dict[str, Any]:
    """The settings of a run as its index will name them; "batch" is missing where it is still to be chosen.

    Raises BadInput and UnknownName as `index_patches` does."""
    if precision not in PRECISIONS:
        raise BadInput(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}.")
    if k < 1 or (batch is not None and batch < 1):
        raise BadInput(f"k and batch must be at least 1, got k={k}, batch={batch}.")
    names = list(layers) if layers is not None else model.layers()
    find_modules(model.module, names)
    kept, without = _choose_layers(model, names, layers is None)
    used = "bfloat16" if usable_precision(precision, str(model.device)) == "bfloat16" else "float32"
    settings = (
        {"model": model.name, "model_fingerprint": model.fingerprint, "weights": model.origin}
        | {"wanted_layers": kept, "left_out": without, "k": k}
        | {"preprocessing": json.loads(json.dumps(model.preprocessing.as_dict())), "corpus": corpus.name}
        | {"corpus_fingerprint": corpus.fingerprint, "images": len(corpus)}
        | {**precision_meta(precision, used), "torch": torch.__version__}
    )
    settings |= {"group": corpus.group} if corpus.group != EACH else {}
    return settings if batch is None else settings | {"batch": batch if model.trial.together else 1}


def choose_batch(model: LoadedModel, corpus: Corpus, settings: dict[str, Any], before: PatchIndex | None) -> int:
    """The batch size asked for, else that of the index that is continued, else the fastest here."""
    if not model.trial.together:
        return 1
    given = settings.get("batch") or (before.meta["batch"] if before is not None else 0)
    if given:
        return given
    fast, layers = settings["precision"] == "bfloat16", len(settings["wanted_layers"])
    return choose_batch_size(model, fast, layers) if len(corpus) >= MANY else SMALL


def finish_index(
    index: PatchIndex,
    model: LoadedModel,
    corpus: Corpus,
    out: str | Path | None,
    side: int | None,
    changed: bool,
    monitor: AgreementMonitor | None = None,
) -> PatchIndex:
    """`index` saved, and what ranks or earlier versions left beside it removed; then, if it is complete, with its
    agreement and crops. It is attached to its network and images.

    Raises BadInput if not one image could be read or a winner cannot be read again for its crop, CnnvizError
    if the file cannot be written."""
    if index.complete and len(index.meta["skipped"]) == len(corpus):
        reason = index.meta["skipped"][0][1] if index.meta["skipped"] else "it is empty"
        raise BadInput(f"No image of {corpus.name} could be read: {reason}")
    if out is not None and changed:
        index.save(out)
        partials.remove_rank_files(out)
        if index.complete:
            partials.state_file(out).unlink(missing_ok=True)
    found = index
    if found.complete and found.meta["precision"] == "bfloat16" and "agreement" not in found.meta:
        agreed = (monitor and monitor.measure()) or measure_agreement(model, corpus, found.meta)
        found = replace(found, meta=found.meta | {"agreement": agreed})
    if side is not None and found.complete and found.meta.get("embedded") != side:
        from cnnviz.index.crops.embed import embed

        found = embed(found, model, corpus, side)
    if out is not None and found is not index:
        found.save(out)
    return replace(found, source=Source(model, corpus))


def _choose_layers(model: LoadedModel, names: list[str], choose: bool) -> tuple[list[str], dict[str, str]]:
    """(those of `names` that run in a forward pass and whose units have a place in the image, each once; {layer: why}
    of the others). Unless we `choose`, all that run must have places. Raises BadInput if none is left, or for these."""
    with model.lock:
        counts = count_calls(model.module, torch.zeros(1, *model.input_size, device=model.device))

    def runs(layer: str) -> bool:
        name, call = name_call(model.module, layer)
        return 1 <= (1 if call is None else call) <= counts[name]

    called = {layer: runs(layer) for layer in names}
    faults = find_misplaced(model, [layer for layer, ran in called.items() if ran])
    kept = [layer for layer, ran in called.items() if ran and layer not in faults]
    without = {layer: describe_absence(layer) for layer, ran in called.items() if not ran} | faults
    if faults and not choose or without and not kept:
        raise BadInput(next(iter((faults or without).values())))
    return kept, without
