"""The training loop: an epoch depends on (seed, epoch) alone, so an interrupted run resumes exactly."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.data.labelled import LabelledSet, load_labelled
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.device import choose, exact_float32, fast_bfloat16, precision_meta, usable_precision
from cnnviz.errors import BadInput, Cancelled, TrainingDiverged
from cnnviz.models.catalogue.registry import build, find
from cnnviz.models.memory_format import choose_memory_format, lay_out
from cnnviz.models.recognise.shapes import outline
from cnnviz.models.trial import ALONE, try_network
from cnnviz.progress import Progress
from cnnviz.training.augment import check_crop_side, random_crop, random_flip
from cnnviz.training.control import LOOK, TrainingControl
from cnnviz.training.evaluate import EVALUATED, evaluate
from cnnviz.training.folded_norm import add_norms
from cnnviz.training.freeze import FrozenLayers, freeze_layers
from cnnviz.training.initialise import initialise
from cnnviz.training.loss import AUXILIARY_WEIGHT, main_logits, total_loss
from cnnviz.training.recipe import Recipe, default_recipe, learning_rate
from cnnviz.training.record.probes import write_probes
from cnnviz.training.record.recorder import RunRecorder, record
from cnnviz.training.start import StartReport, copy_start, load_start
from cnnviz.training.state import (
    CHECKPOINT,
    Epoch,
    EpochPart,
    RunIdentity,
    describe_transfer,
    export_run,
    load_checkpoint,
    make_run_folder,
    save_checkpoint,
)
from cnnviz.wording import plural

TrainingWatcher = Callable[["TrainingProgress"], bool | None]
EVERY = 50  # steps from one look into the layers to the next
_seeding = threading.Lock()  # PyTorch's generator is the process's: two trainings that begin at once take turns
MEASURED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")  # of an epoch


@dataclass(frozen=True, slots=True)
class TrainingProgress(Progress):
    """Where a run stands: `done` of `total` epochs, `part` of the next. `seconds_left` is an estimate for the whole
    run; `loss` and `accuracy` are those of the epoch so far; `finished` holds the epochs that are done; `step` counts
    the steps of the whole run, and `paused` tells that it waits for its `TrainingControl`. A callback that returns
    False stops the run as `TrainingControl.stop` does."""

    loss: float = math.nan
    accuracy: float = math.nan
    images_per_second: float = 0.0
    finished: list[Epoch] = field(default_factory=list)
    step: int = 0
    paused: bool = False


def train(
    architecture: str,
    data: str | Path,
    out: str | Path,
    recipe: Recipe | None = None,
    device: str = "auto",
    progress: TrainingWatcher | None = None,
    snapshots: int = 24,
    compiled: bool = False,
    start: str | Path | None = None,
    freeze: str = "",
    per_class: int = 0,
    tell: Callable[[str], object] | None = None,
    control: TrainingControl | None = None,
    every: int = EVERY,
) -> Path:
    """Train `architecture` on `data` and return the path of the final safetensors file in folder `out`.

    `data`: see `load_labelled`. A folder that holds an unfinished run of the same settings is continued. The run is
    recorded there as `cnnviz.record` does it: steps, layers, first-layer filters, and in float16 the weights of at most
    `snapshots` moments, the first and the last among them. `compiled`: through torch.compile, which pays for runs of
    many minutes. `control`: pauses, steps and stops it from another thread. `every`: steps from one look into the
    layers to the next.

    `start`: the weights to begin with, as for `cnnviz.load`, with their preprocessing; the head stays random where its
    classes are others, see `start.copy_start`. `freeze`: the last layer, by the order in which the network runs, that
    stays as it is with all before it, or "all-but-head"; frozen batch normalisation keeps its statistics, too.
    `per_class`: train on so many images of each class only, see `load_labelled`. `tell`: called with a sentence on each
    of these that was asked for.
    Raises TrainingDiverged when the loss is no longer finite (the last good checkpoint stays), BadInput
    for unusable data, a start that does not fit, a folder of another run or one that cannot be written, UnknownName for
    a layer that the network has not, Cancelled when it was stopped: what was done is kept, to the step, and the same
    call goes on from there."""
    entry, where = find(architecture), choose(device)
    model = None if start is None else load_start(architecture, start)
    preprocessing = entry.preprocessing if model is None else model.preprocessing
    input_size = (preprocessing.channels, *preprocessing.size)
    recipe = recipe or default_recipe(input_size[0], gently=model is not None)
    training = load_labelled(data, "train", preprocessing, per_class=per_class)
    testing = load_labelled(data, "test", preprocessing)
    _check_classes(training, testing)
    folder = make_run_folder(out)
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        module = build(architecture, len(training.class_names))
        initialise(module, recipe.initialisation)
    taken = None if model is None else copy_start(module, model, training.class_names)
    del model
    if recipe.folded_norm:
        if taken or freeze:
            raise BadInput("--folded-norm is for trainings from scratch: leave it out with --from and --freeze.")
        add_norms(module, input_size, outline(architecture).head, architecture)
    trial = try_network(module, input_size, architecture)
    if ALONE in trial.remarks:
        raise BadInput(
            f"{architecture} takes one image at a time, and is trained on several: flatten with x.flatten(1)."
        )
    check_crop_side(module, architecture, input_size, recipe.side)
    head = outline(architecture).head
    frozen = freeze_layers(module, freeze, input_size, head, taken.fresh if taken else ())
    memory_format = choose_memory_format(module, input_size, training=True)
    module.to(where).to(memory_format=memory_format)
    if where.type == "cuda":
        exact_float32()
    optimiser = _optimiser(module, recipe)
    if tell:
        for line in describe_choices(taken, frozen, len(dict(module.named_parameters())), training, per_class):
            tell(line)
    origin = taken.as_dict() if taken else None
    identity = RunIdentity(architecture, recipe, training.fingerprint, taken.fingerprint if taken else "", freeze)
    history, part = load_checkpoint(folder, identity, module, optimiser)
    _move_state(optimiser, where)
    run = _Run(
        module,
        optimiser,
        recipe,
        where,
        preprocessing,
        training,
        progress,
        history,
        compiled,
        memory_format,
        trial.ending,
        frozen,
        control or TrainingControl(),
    )
    about = {
        "architecture": architecture,
        "classes": training.class_names,
        "preprocessing": preprocessing.as_dict(),
        "recipe": recipe.as_dict(),
        **describe_transfer(origin, freeze, per_class),
        "images": len(training),
        "steps_per_epoch": run.steps,
    }
    begun = len(run.history) * run.steps + (part.step if part else 0)
    probes = lay_out(preprocessing.normalise(torch.from_numpy(write_probes(folder, testing))), memory_format)
    with record(folder, run.forward, every, snapshots, begun, probes, about) as recorder:
        while len(run.history) < recipe.epochs:
            if left := run.epoch(len(run.history), folder / CHECKPOINT, recorder, part):
                save_checkpoint(folder, identity, module, optimiser, run.history, left)
                steps, finished = plural(run.steps, "step"), plural(len(run.history), "finished epoch")
                raise Cancelled(
                    f"Stopped in epoch {len(run.history) + 1} after {left.step} of its {steps}: they and {finished} "
                    "are kept and can be continued."
                )
            part = None
            done = run.measure(testing, folder / CHECKPOINT)
            run.history.append(done)
            recorder.epoch(**{name: getattr(done, name) for name in MEASURED})
            save_checkpoint(folder, identity, module, optimiser, run.history)
    stem = f"{architecture.replace(':', '_')}-{Path(data).resolve().name.lower()}"
    made = (module, training.class_names, preprocessing, run.history, len(testing))
    return export_run(folder, stem, identity, *made, run.precision | describe_transfer(origin, freeze, per_class))


def describe_choices(
    taken: StartReport | None, frozen: FrozenLayers, parameters: int, training: LabelledSet, per_class: int
) -> list[str]:
    """What a training took of other weights, what stays as it is, and on how few images: a line each."""
    lines = [taken.describe()] if taken else []
    if frozen.parameters:
        still = "" if taken else "; they are random, since there are no weights to start from"
        lines.append(f"frozen: {len(frozen.parameters)} of {plural(parameters, 'parameter tensor')}{still}")
    counts = np.bincount(training.labels)
    if per_class:
        fewest = f", {counts.min()} of one" if counts.min() < per_class else ""
        lines.append(f"images: {len(training)}, {min(per_class, counts.max())} of each class{fewest}")
    return lines


def _check_classes(training: LabelledSet, testing: LabelledSet) -> None:
    """Labels are positions in the list of classes: both sets must count alike."""
    if testing.class_names != training.class_names[: len(testing.class_names)]:
        differ = sorted(set(testing.class_names) ^ set(training.class_names))
        raise BadInput(
            f"The class folders of the training and of the test images differ in {', '.join(differ)}. Give both "
            "the same; one may be empty."
        )


def _optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """One group of the trained parameters for each learning rate; `learning_rate_scales` of a network, {start of a
    parameter's name: factor}, says which learn slower or faster than the recipe's rate. With batch norm in front a
    convolution needs no such care: what reaches it neither grows nor shrinks, and too slow, it holds all others up."""
    scales: dict[str, float] = getattr(module, "learning_rate_scales", {})
    if recipe.folded_norm:
        convolutions = {name for name, part in module.named_modules() if isinstance(part, nn.Conv2d)}
        scales = {start: factor for start, factor in scales.items() if start not in convolutions}
    groups: dict[float, list[Tensor]] = {1.0: []}
    for name, parameter in ((n, p) for n, p in module.named_parameters() if p.requires_grad):
        scale = next((factor for start, factor in scales.items() if name.startswith(start)), 1.0)
        groups.setdefault(scale, []).append(parameter)
    return torch.optim.SGD(
        [{"params": parameters, "scale": scale} for scale, parameters in groups.items()],
        recipe.lr,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )


def _move_state(optimiser: torch.optim.Optimizer, where: torch.device) -> None:
    for state in optimiser.state.values():
        for key, value in state.items():
            if isinstance(value, Tensor):
                state[key] = value.to(where)


class _Run:
    """One run in memory: what an epoch needs, and the totals of the epoch under way."""

    def __init__(
        self,
        module: nn.Module,
        optimiser: torch.optim.Optimizer,
        recipe: Recipe,
        where: torch.device,
        preprocessing: Preprocessing,
        data: LabelledSet,
        progress: TrainingWatcher | None,
        history: list[Epoch],
        compiled: bool = False,
        memory_format: torch.memory_format = torch.channels_last,
        ending: str = "",
        frozen: FrozenLayers | None = None,
        control: TrainingControl | None = None,
    ) -> None:
        self.frozen, self.control = frozen or FrozenLayers(), control or TrainingControl()
        self.memory_format, self.ending = memory_format, ending
        self.module, self.optimiser, self.recipe, self.where = module, optimiser, recipe, where
        self.preprocessing, self.data, self.progress, self.history = preprocessing, data, progress, history
        wanted = usable_precision(recipe.precision, str(where))
        self.bfloat16 = wanted == "bfloat16" or (wanted == "auto" and fast_bfloat16(str(where)))
        self.precision = precision_meta(recipe.precision, "bfloat16" if self.bfloat16 else "float32")
        self.steps = math.ceil(len(data) / recipe.batch)
        self.loss = self.accuracy = 0.0
        self.begun = 0  # steps of this epoch that an earlier process made
        self.started = self.reported = time.monotonic()
        self.forward = cast(nn.Module, torch.compile(module)) if compiled else module

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.where.type, torch.bfloat16) if self.bfloat16 else nullcontext()

    def epoch(
        self, epoch: int, checkpoint: Path, recorder: RunRecorder, part: EpochPart | None = None
    ) -> EpochPart | None:
        """Train one epoch, or the rest of it behind `part`; what is done of it if it was stopped, None else. Order,
        augmentation and dropout follow from (seed, epoch)."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.data), generator=generator).numpy()
        self.frozen.hold(self.module)
        self.started = self.reported = time.monotonic()
        self.loss_sum, self.right = torch.zeros((), device=self.where), torch.zeros((), device=self.where)
        with torch.random.fork_rng(devices=[self.where] if self.where.type == "cuda" else []):
            torch.manual_seed(self.recipe.seed * 1_000_003 + epoch)
            self.begun = self._restore(part, generator)
            for step in range(self.begun, self.steps):
                if not self.control.wait(partial(self._report, epoch, step, waits=True)):
                    return self._leave(step, generator)
                rows = order[step * self.recipe.batch : (step + 1) * self.recipe.batch]
                loss, hits = self._step(rows, generator, epoch * self.steps + step)
                self.loss_sum += loss * len(rows)
                self.right += hits
                recorder.step(loss, hits / len(rows), self.optimiser.param_groups[0]["lr"])
                if step % 20 == 19 or step == self.steps - 1 or time.monotonic() - self.reported >= LOOK:
                    self._check(self._sum_up(step + 1), epoch, checkpoint)
                    if not self._report(epoch, step + 1):
                        return self._leave(step + 1, generator)
        self._sum_up(self.steps)
        return None

    def _sum_up(self, steps: int) -> float:
        """Loss and accuracy of the epoch so far; returns the loss."""
        seen = max(min(steps * self.recipe.batch, len(self.data)), 1)
        self.loss, self.accuracy = self.loss_sum.item() / seen, self.right.item() / seen
        return self.loss

    def _leave(self, step: int, generator: torch.Generator) -> EpochPart:
        """What is done of the epoch, within its random numbers."""
        sums, own = (self.loss_sum.cpu(), self.right.cpu()), generator.get_state()
        on_device = torch.cuda.get_rng_state(self.where) if self.where.type == "cuda" else None
        return EpochPart(step, *sums, own, torch.get_rng_state(), on_device)

    def _restore(self, part: EpochPart | None, generator: torch.Generator) -> int:
        """Go on behind `part`; returns how many steps are done."""
        if part is None:
            return 0
        self.loss_sum, self.right = part.loss.to(self.where), part.right.to(self.where)
        generator.set_state(part.order)
        torch.set_rng_state(part.random)
        if part.device is not None and self.where.type == "cuda":
            torch.cuda.set_rng_state(part.device, self.where)
        return part.step

    def _step(self, rows: np.ndarray, generator: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        recipe = self.recipe
        images = self.preprocessing.normalise(torch.from_numpy(self.data.batch(rows)).to(self.where))
        labels = torch.from_numpy(self.data.labels[rows]).to(self.where)
        side = recipe.side_in(step // self.steps)
        images = random_crop(images, recipe.crop + recipe.shift, generator, side)
        images = random_flip(images, generator) if recipe.flip else images
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step, self.steps) * group.get("scale", 1.0)  # older runs have none
        with self.autocast():
            output = self.forward(lay_out(images, self.memory_format))
        weight = getattr(self.module, "auxiliary_weight", AUXILIARY_WEIGHT)
        loss = total_loss(output, labels, recipe.label_smoothing, weight, self.ending)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach(), (main_logits(output).detach().argmax(1) == labels).sum()

    def _check(self, loss: float, epoch: int, checkpoint: Path) -> None:
        if math.isfinite(loss):
            return
        kept = f"The last good checkpoint, after epoch {epoch}, is {checkpoint}." if epoch else "No epoch was finished."
        raise TrainingDiverged(
            f"The loss became {loss} in epoch {epoch + 1}. {kept} Try a lower learning rate: "
            f"--lr {self.recipe.lr / 5:g} (it was {self.recipe.lr:g}), or a longer --warmup."
        )

    def _report(self, epoch: int, step: int, waits: bool = False) -> bool:
        """Tell where the run stands, `step` steps of the epoch being done; False if it shall end."""
        self.reported = time.monotonic()
        if self.progress is None:
            return True
        if waits:
            self._sum_up(step)
        seen = min(step * self.recipe.batch, len(self.data))
        here = seen - min(self.begun * self.recipe.batch, len(self.data))
        rate = here / max(self.reported - self.started, 1e-9)
        share_left = (self.recipe.epochs - epoch) - seen / len(self.data)
        report = TrainingProgress(
            done=epoch,
            total=self.recipe.epochs,
            what="epochs",
            part=step / self.steps,
            loss=self.loss,
            accuracy=self.accuracy,
            images_per_second=rate,
            seconds_left=share_left * len(self.data) / rate if here else math.nan,
            finished=list(self.history),
            step=epoch * self.steps + step,
            paused=waits,
        )
        return self.progress(report) is not False

    def measure(self, testing: LabelledSet, checkpoint: Path) -> Epoch:
        """The finished epoch, with the test set evaluated: in no larger batches than the training took, for which there
        was room with gradients. Raises TrainingDiverged if its last steps broke
        the weights: they must not take the place of the last good checkpoint."""
        seconds = time.monotonic() - self.started
        batch = min(EVALUATED, self.recipe.batch)
        test_loss, test_accuracy = evaluate(
            self.module, testing, self.preprocessing, batch, self.memory_format, self.ending
        )
        self._check(test_loss, len(self.history), checkpoint)
        rate = self.optimiser.param_groups[0]["lr"]
        return Epoch(len(self.history) + 1, self.loss, self.accuracy, test_loss, test_accuracy, rate, seconds)
