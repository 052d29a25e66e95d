"""Recording a training of Lightning: a callback that steps a `RunRecorder`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from cnnviz.errors import BadInput
from cnnviz.training.record.recorder import RunRecorder, record

_HOMES = ("lightning.pytorch", "pytorch_lightning")  # the package is published under two names


def make_lightning_callback(folder: str | Path, accuracy: str = "", **options: Any) -> Any:
    """A callback for `Trainer(callbacks=[…])` that records the training in `folder`, as `cnnviz.record` does.

    Loss and learning rate are those of each step of the first optimiser; metrics that the module logs are kept at the
    end of each epoch under their names, "val_loss" among them. `accuracy`: the name of a metric that is logged with
    every step. `options`: those of `cnnviz.record`. A training that goes on from a checkpoint goes on in its record.
    Raises BadInput where Lightning is not installed."""
    callback: Any = _find_callback_class()

    class RecordingCallback(callback):  # type: ignore[misc]
        """Hands what Lightning tells to a recorder."""

        run: RunRecorder | None = None
        done = 0

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.done = int(trainer.global_step)
            self.run = record(folder, pl_module, **{"resume_at": self.done or None, **options})
            self.run.__enter__()

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if self.run is None or trainer.global_step == self.done:  # gradients are still being summed up
                return
            self.done = int(trainer.global_step)
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs
            rate = trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else None
            self.run.step(loss, trainer.callback_metrics.get(accuracy), rate)

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if self.run is not None:
                self.run.epoch(**{name.replace("/", "_"): value for name, value in trainer.callback_metrics.items()})

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self._end(None)

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self._end(exception)

        def _end(self, error: BaseException | None) -> None:
            run, self.run = self.run, None
            if run is not None:
                run.__exit__(type(error) if error else None, error, None)

    return RecordingCallback()


def _find_callback_class() -> Any:
    reasons = []
    for name in _HOMES:
        try:
            return import_module(name).Callback
        except ImportError as error:
            reasons.append(str(error))
    raise BadInput(
        f"Lightning cannot be imported ({'; '.join(reasons)}). Install it: pip install lightning. Any other loop is "
        "recorded by cnnviz.record."
    )
