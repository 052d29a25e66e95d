"""A recorder for anybody's training loop: three lines in it, and the training is followed from within while it runs."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.distributed import is_first_process
from cnnviz.errors import BadInput, Cancelled
from cnnviz.models.output import walk_tensors
from cnnviz.probes.rectified import count_silent_channels
from cnnviz.store import write_bytes_atomic, write_json
from cnnviz.training.folded_norm import read_plain_state
from cnnviz.training.record import files
from cnnviz.training.record.measure import copy_weights, group_parameters, measure_layers

MOST_STEPS = 20_000  # lines of steps, after which only every second is kept, then every fourth …
MOST_LOOKS = 2_000  # lines of layers, alike
MOST_FILTERS = 60  # moments of the first layer's filters
MOST_BYTES = 2 * 10**9  # of all snapshots together; of a large network fewer are kept
MARGIN = 1.25  # without epochs a snapshot is taken whenever the steps have grown by this factor


def record(
    folder: str | Path,
    module: nn.Module,
    every: int = 50,
    snapshots: int = 24,
    resume_at: int | None = None,
    probes: Tensor | None = None,
    about: dict[str, Any] | None = None,
) -> RunRecorder:
    """Record a training of `module` in `folder`, a context manager around any loop.

    >>> with cnnviz.record("runs/mine", model) as run:                # doctest: +SKIP
    ...     for images, labels in loader:
    ...         ...                                                   # forward, backward, optimiser.step()
    ...         run.step(loss=loss, accuracy=accuracy, lr=lr)
    ...     run.epoch(test_loss=…, test_accuracy=…)                   # where there are epochs

    `every`: steps from one look into the layers to the next. `snapshots`: moments whose weights are kept in float16 at
    most, spread evenly over the logarithm of time; the first and the last are among them. `resume_at`: the step of the
    checkpoint from which a killed training goes on; what was recorded after it is replaced (None: on from the last
    recorded one). `probes`: (n, C, H, W) a handful of normalised images whose logits are kept after each epoch.
    `about`: what else `run.json` shall say: "architecture", "classes", "preprocessing".

    In a training of several processes the first alone records. Raises BadInput for a folder that cannot be written, or
    holds a run of another network."""
    return RunRecorder(Path(folder), module, every, snapshots, resume_at, probes, dict(about or {}))


@dataclass(slots=True)
class _Lines:
    """A file of lines that grows with the logarithm of their number, once it holds `most`."""

    file: TextIO
    most: int
    stride: int = 1
    written: int = 0

    def add(self, count: int, values: dict[str, Any]) -> None:
        """Write one, the `count`-th that was offered, unless it is left out."""
        if count % self.stride:
            return
        files.append_line(self.file, values)
        self.written += 1
        if self.written >= self.most:
            self.stride, self.written = self.stride * 2, self.most // 2


class RunRecorder:
    """What `record` returns: `step` after every step of the optimiser, `epoch` after every pass over the data."""

    def __init__(
        self,
        folder: Path,
        module: nn.Module,
        every: int,
        snapshots: int,
        resume_at: int | None,
        probes: Tensor | None,
        about: dict[str, Any],
    ) -> None:
        if every < 1 or snapshots < 3:
            raise BadInput(f"every must be at least 1 and snapshots at least 3, got {every} and {snapshots}.")
        self._folder, self._every = folder, every
        self._module: nn.Module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
        self._compiled = self._module is not module
        size = sum(2 * tensor.numel() for tensor in read_plain_state(self._module).values())
        self._most = max(3, min(snapshots, MOST_BYTES // max(size, 1)))
        self._wanted, self._probes, self._about = resume_at, probes, about
        self._groups = group_parameters(self._module)
        self._open = ExitStack()
        self._looking, self._silent = ExitStack(), dict[str, tuple[int, int]]()
        self._before: dict[str, list[Tensor]] | None = None
        self._lines: dict[str, _Lines] = {}
        self._step = self._epochs = self._last_snapshot = 0
        self._active = False

    @property
    def steps(self) -> int:
        """Steps that are recorded, those of earlier processes among them."""
        return self._step

    def __enter__(self) -> RunRecorder:
        if not is_first_process():
            return self
        self._start()
        self._active, self._started = True, time.time()
        if not files.list_arrays(self._folder, files.SNAPSHOTS):
            self._save_snapshot()
            self._save_filters()
        self._look_ahead()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._looking.close()
        if self._active:
            self._save_snapshot()
            write_json(self._folder / files.RUN, self._notes() | {"ended": time.time(), "failed": _has_failed(kind)})
        self._open.close()
        self._active = False

    def step(self, loss: Any, accuracy: Any = None, lr: float | None = None, **others: Any) -> None:
        """Record one step; call it after the optimiser's step, before the gradients are set to zero.

        `loss`: mean of the batch, in nats where it is a cross-entropy; `accuracy`: 0 to 1; `lr`: of the step; `others`:
        any more numbers. Tensors are read for the steps that are kept only: a read waits for the device."""
        if not self._active:
            return
        self._step += 1
        lines = self._lines[files.STEPS]
        if self._step % lines.stride == 0:
            given = {"loss": loss, "accuracy": accuracy, "lr": lr, **others}
            known = {name: _as_number(value) for name, value in given.items() if value is not None}
            lines.add(self._step, {"step": self._step, "time": round(time.time(), 3), **known})
        if self._before is not None:
            self._look()
        if not self._epochs and self._step >= MARGIN * max(self._last_snapshot, 1):
            self._save_snapshot()
        if (self._step + 1) % self._every == 0 or self._step == 0:
            self._look_ahead()

    def epoch(self, **metrics: Any) -> None:
        """Record the end of a pass over the data: `test_loss`, `test_accuracy`, or whatever was measured; the weights
        are kept as they are now, and the answers to the probe images."""
        if not self._active:
            return
        self._epochs += 1
        values = {name: _as_number(value) for name, value in metrics.items() if value is not None}
        line: dict[str, Any] = {"step": self._step, "time": round(time.time(), 3), "epoch": self._epochs, **values}
        if self._probes is not None:
            line["probes"] = self._answer()
        files.append_line(self._lines[files.EPOCHS].file, line)
        self._save_snapshot(again=True)

    # --- looking into the layers ------------------------------------------------------------------------------

    def _look_ahead(self) -> None:
        """Before the step that is looked at: keep its weights, and count what its pass silences."""
        self._before = copy_weights(self._groups)
        if not self._compiled:  # hooks would have it compiled anew
            self._silent = self._looking.enter_context(count_silent_channels(self._module))

    def _look(self) -> None:
        self._looking.close()
        moments = measure_layers(self._groups, self._before)
        self._before = None
        dead = {name: [silent, channels] for name, (silent, channels) in self._silent.items()}
        layers = {name: [one.gradient, one.weight, one.update] for name, one in moments.items()}
        lines = self._lines[files.LAYERS]
        lines.add(self._step // self._every, {"step": self._step, **_split(layers), **_split_dead(dead)})
        self._save_filters()

    # --- moments ------------------------------------------------------------------------------------------------

    def _save_snapshot(self, again: bool = False) -> None:
        """Keep the weights as they are now. `again`: also where this step kept them before its epoch had ended."""
        path = files.array_path(self._folder, files.SNAPSHOTS, self._step)
        if path.exists() and not again:
            return
        tensors = {k: v.detach().cpu().contiguous() for k, v in read_plain_state(self._module).items()}
        small = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
        self._write_arrays(path, small, {"step": self._step, "epoch": self._epochs, **self._about})
        self._thin_out(files.SNAPSHOTS, self._most)
        self._last_snapshot = self._step

    def _save_filters(self) -> None:
        name = next((name for name, p in self._module.named_parameters() if p.dim() >= 4), "")
        path = files.array_path(self._folder, files.FILTERS, self._step)
        if not name or path.exists():
            return
        state = read_plain_state(self._module)
        weight = state[name] if name in state else self._module.get_parameter(name)
        self._write_arrays(path, {"weight": weight.detach().cpu().half().contiguous()}, {"step": self._step})
        self._thin_out(files.FILTERS, MOST_FILTERS)

    def _write_arrays(self, path: Path, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        from safetensors.torch import save

        own = {name: tensor.clone() for name, tensor in tensors.items()}  # tied weights are stored twice
        write_bytes_atomic(path, save(own, metadata={"cnnviz": json.dumps({**notes, "made_by": "cnnviz.record"})}))

    def _thin_out(self, kind: str, most: int) -> None:
        kept = files.list_arrays(self._folder, kind)
        while len(kept) > most:
            step = list(kept)[files.choose_dispensable(list(kept))]
            kept.pop(step).unlink(missing_ok=True)

    def _answer(self) -> list[list[float]]:
        """Logits of the probe images, in eval mode."""
        assert self._probes is not None
        training, where = self._module.training, next(self._module.parameters()).device
        self._module.eval()
        try:
            with torch.no_grad():
                output = next(walk_tensors(self._module(self._probes.to(where))))  # before companions of the main ones
        finally:
            self._module.train(training)
        found: np.ndarray = output.float().flatten(1).cpu().numpy()
        return np.round(found.astype(float), 4).tolist()

    # --- files --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Open the folder, new or of a run that goes on."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._check_same_network()
            for name, most in ((files.STEPS, MOST_STEPS), (files.LAYERS, MOST_LOOKS), (files.EPOCHS, 10**9)):
                self._lines[name] = self._open_lines(self._folder / name, most)
            write_json(self._folder / files.RUN, self._notes())
        except OSError as error:
            raise BadInput(
                f"{self._folder} cannot be the folder of a run: {error.strerror or error}. Choose another."
            ) from error

    def _open_lines(self, path: Path, most: int) -> _Lines:
        before = files.read_lines(path)
        ends_whole = not path.exists() or not path.stat().st_size or path.read_bytes()[-1:] == b"\n"
        lines = _Lines(self._open.enter_context(open(path, "a", encoding="utf-8")), most)
        if not ends_whole:
            lines.file.write("\n")
        if path.name == files.STEPS:
            last = before[-1]["step"] if before else 0
            self._step = last if self._wanted is None else self._wanted
        kept = [one for one in before if one["step"] <= self._step]
        if before:
            files.append_line(lines.file, {files.RESUMED: self._step})
        if path.name == files.EPOCHS:
            self._epochs = len(kept)
        lines.written = len(kept)
        while lines.written >= most:
            lines.stride, lines.written = lines.stride * 2, lines.written // 2
        self._forget_after(files.SNAPSHOTS)
        self._forget_after(files.FILTERS)
        return lines

    def _forget_after(self, kind: str) -> None:
        kept = files.list_arrays(self._folder, kind)
        for step, path in kept.items():
            if step > self._step:
                path.unlink(missing_ok=True)
        if kind == files.SNAPSHOTS:
            self._last_snapshot = max((step for step in kept if step <= self._step), default=0)

    def _check_same_network(self) -> None:
        path = self._folder / files.RUN
        if not path.is_file():
            return
        before = json.loads(path.read_text(encoding="utf-8")).get("tensors")
        if before != self._shapes():
            raise BadInput(
                f"{self._folder} holds a run of another network: its tensors differ. Choose another folder, or remove "
                "that one."
            )

    def _shapes(self) -> dict[str, list[int]]:
        return {name: list(tensor.shape) for name, tensor in read_plain_state(self._module).items()}

    def _notes(self) -> dict[str, Any]:
        kind = type(self._module)
        return {
            "module": f"{kind.__module__}.{kind.__qualname__}",
            "tensors": self._shapes(),
            "every": self._every,
            "layers": list(self._groups),
            **self._about,
        }


def _has_failed(kind: type[BaseException] | None) -> bool:
    """Whether a training ended otherwise than by its end, or because somebody stopped it."""
    return kind is not None and not issubclass(kind, Cancelled)


def _as_number(value: Any) -> float:
    return float(value.detach() if isinstance(value, Tensor) else value)


def _split(layers: dict[str, list[float]]) -> dict[str, Any]:
    """Columns in the order of run.json's layers: they are written often, their names once."""
    columns = list(zip(*layers.values(), strict=True)) if layers else [(), (), ()]
    return dict(zip(("gradient", "weight", "update"), map(list, columns), strict=True))


def _split_dead(dead: dict[str, list[int]]) -> dict[str, Any]:
    return {"rectifiers": list(dead), "dead": [silent / channels for silent, channels in dead.values()]} if dead else {}
