"""Evaluating loss and accuracy at weights near a network's own, on private copies of the network."""

from __future__ import annotations

import copy
import hashlib
import math
import statistics as numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnnviz.device import fast_bfloat16, precision_meta, usable_precision
from cnnviz.engine.fold_batchnorm import ConvNorm, find_foldable, fold, fold_direction, folds_linearly, try_trace
from cnnviz.engine.fuse_relu import Fusion, find_fusable
from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.bn_statistics import BATCH, Recalibrator
from cnnviz.landscape.evaluate.images import read_images, read_labels, refuse_labels_beyond
from cnnviz.landscape.evaluate.loss import Images, exactness
from cnnviz.landscape.evaluate.runner import Runner, named_tensors
from cnnviz.landscape.plane.directions import plane_directions
from cnnviz.landscape.results import Measured
from cnnviz.models.model import LoadedModel
from cnnviz.models.output import find_scores
from cnnviz.training.loss import is_binary
from cnnviz.wording import plural

PRECISIONS, STATISTICS = ("auto", "float32", "bfloat16"), ("frozen", "recalibrated")
MEDIAN, MAXIMUM = 0.01, 0.03  # of |Δlog10 loss| at a few points measured both ways, up to which bfloat16 serves
STEPS = ((0.0, 0.0), (0.25, -0.25), (-0.5, 0.5), (0.7, 0.3), (-1.0, -1.0))  # these points: spans along the directions
PROBE = 8  # images on which the folded network is compared with the network itself
FOLDED = 1e-3  # difference of the logits, relative to the largest, up to which folding is trusted


class Evaluator:
    """Loss and accuracy of weights near a network's own, over images that stay on the device.

    Eval mode, mean cross-entropy over the images without augmentation, see `loss.cross_entropy`. `images`: uint8
    (N, H, W, C) as the network receives them, or float (N, C, H, W) already preprocessed; `labels`: (N,) class numbers.
    `precision`: "float32", "bfloat16", or "auto": bfloat16 where the device is fast in it and a few points,
    measured both ways, agree; see `settle_precision`. Where the processor is slow in bfloat16, "bfloat16" is computed
    in float32, see `device.usable_precision`; `asked` keeps the word. `statistics` of batch normalisation: "frozen",
    the network's own at every point (Li et al. 2018), or "recalibrated" over these images at each point (Garipov
    et al. 2018).
    `batch`: images of one pass; None measures which number is fastest. `data`: sha256 of images and labels.
    For one thread at a time.

    Raises BadInput if images or labels cannot be used, or a word is none of these."""

    def __init__(
        self,
        model: LoadedModel,
        images: Any,
        labels: Any,
        precision: str = "auto",
        statistics: str = "frozen",
        batch: int | None = None,
    ) -> None:
        _refuse_other("precision", precision, PRECISIONS)
        _refuse_other("statistics", statistics, STATISTICS)
        if batch is not None and batch < 1:
            raise BadInput(f"The batch must be at least 1 image, got {batch}.")
        received = read_images(model, images)
        answers = read_labels(labels, len(received))
        self.model, self.device, self.statistics = model, model.device, statistics
        self.precision_errors: list[float] = []  # |Δlog10 loss| of bfloat16 at the points that decided
        with model.lock:
            self._module = copy.deepcopy(model.module).float().eval().requires_grad_(False)
        self._own = {name: tensor.detach() for name, tensor in named_tensors(self._module).items()}
        self._names = _map_names(self._module)
        self.data = _hash(received, answers)
        how = (model.memory_format, model.trial.ending)
        self.images = Images(received, answers, model.preprocessing, self.device, *how)
        self.labels, self.count = self.images.labels, self.images.count  # labels (N,) on the device
        self._most = PROBE if model.trial.together else 1
        self.outputs = self._probe()
        refuse_labels_beyond(max(self.outputs, 2), self.labels, model.name)
        self.asked = precision
        self._precision = usable_precision(precision, str(self.device))
        self._batch = batch or (BATCH if _depends_on_batch(self._module) else 0)
        if not model.trial.together and not _depends_on_batch(self._module):
            self._batch = 1
        exact = self._build_trusted()
        self.folds, self.fused = exact.folds, exact.fused
        self._runners = {False: exact}
        self._recalibrator: Recalibrator | None = None

    def at(self, weights: Mapping[str, Tensor] | None = None) -> Measured:
        """The network with these parameters and buffers replaced; others are its own.

        Raises BadInput for names or shapes that the network does not have."""
        return self._at(self._move(weights or {}), self.settle_precision() == "bfloat16")

    def plane(self, *directions: Mapping[str, Tensor]) -> Plane:
        """The plane (line, space) through the network's weights along `directions`, {name of a parameter or
        buffer: tensor of its shape}. Raises BadInput for names or shapes that the network does not have."""
        return Plane(self, [_drop_zeros(self._check(direction)) for direction in directions])

    def module(self) -> nn.Module:
        """A new float32 copy of the network in eval mode, for gradients; nobody else uses it."""
        return copy.deepcopy(self._module)

    def inputs(self) -> Tensor:
        """(N, C, H, W) float32, all images preprocessed, on the device."""
        return torch.cat([images for images, _labels in self.images.parts(self.count)])

    def settle_precision(self, *directions: Mapping[str, Tensor], span: float = 1.0) -> str:
        """The precision in use, "float32" or "bfloat16". "auto" is decided here, once, by `directions` (a
        random plane where none are given), up to `span` away."""
        if self._precision == "auto":
            self.precision_errors = self._measure_errors(directions or plane_directions(self.model), span)
            self._precision = "bfloat16" if is_within_bounds(self.precision_errors) else "float32"
        return self._precision

    def _measure_errors(self, directions: Sequence[Mapping[str, Tensor]], span: float) -> list[float]:
        """|Δlog10 loss| of bfloat16 at five points up to `span` along `directions`; [] where the device gains nothing
        by bfloat16, so that nothing was measured."""
        if not fast_bfloat16(str(self.device)):
            return []
        plane, errors = self.plane(*directions), []
        for steps in STEPS:
            point = tuple(span * steps[i % 2] for i in range(len(directions)))
            try:
                exact, fast = (plane._at(point, bfloat16).loss for bfloat16 in (False, True))
            except (RuntimeError, TypeError):  # the network's own code minds bfloat16
                return []
            errors.append(log_error(exact, fast))
        return errors

    def fix(self, precision: str, batch: int, errors: Iterable[float] = ()) -> None:
        """Take over what another evaluator of the same settled, so that both measure alike to the bit."""
        self._precision, self._batch, self.precision_errors = precision, batch, list(errors)
        for runner in self._runners.values():
            runner.resize(batch)

    @property
    def precision(self) -> str:
        """ "auto" until it is settled."""
        return self._precision

    def precision_meta(self) -> dict[str, str]:
        """What metadata say of the precision in use, see `device.precision_meta`."""
        return precision_meta(self.asked, self._precision)

    def loss_meta(self) -> dict[str, str]:
        """What metadata say of a loss other than the cross-entropy over the classes, see `loss.cross_entropy`."""
        return {"loss": "binary cross-entropy"} if is_binary(self.outputs, self.images.ending) else {}

    @property
    def batch(self) -> int:
        """Images of one pass; 0 before the first evaluation."""
        runner = self._runners.get(self._precision == "bfloat16")
        return runner.size if runner else self._batch

    def _probe(self) -> int:
        """How many outputs the network has. Raises BadInput if it cannot take the images."""
        try:
            before = self._take_first().clone()
            outputs = self._logits(self._module).shape[1]
            if not torch.equal(self._take_first(), before):  # it works in place on what it is given
                self._take_first().copy_(before)
                self.images.copied = True
            return outputs
        except RuntimeError as error:
            first = (str(error).splitlines() or ["no reason given"])[0]
            raise BadInput(
                f"{self.model.name} cannot take images of shape {tuple(self._take_first().shape[1:])}: {first}"
            ) from error

    def _take_first(self) -> Tensor:
        return next(self.images.parts(PROBE))[0][:PROBE]

    def _logits(self, module: nn.Module) -> Tensor:
        with exactness(self.device, bfloat16=False):
            scores = [find_scores(module(part), len(part)).float() for part in self._take_first().split(self._most)]
            return torch.cat(scores)

    def _build_trusted(self) -> Runner:
        """The float32 network, with all folded and fused that leaves its answers as they are."""
        graph = try_trace(self._module, self.model.input_size)
        folds = find_foldable(self._module, graph)
        fused = find_fusable(self._module, graph, folds) if self.device.type == "cpu" else ()
        want = self._logits(self._module)
        for attempt in ((folds, fused), (folds, ())):
            if any(attempt) and bool(want.isfinite().all()) and (runner := self._try_folding(*attempt, want)):
                return runner
        return Runner(self._module, (), (), self.images, bfloat16=False, size=self._batch)

    def _try_folding(self, folds: tuple[ConvNorm, ...], fused: tuple[Fusion, ...], want: Tensor) -> Runner | None:
        runner = Runner(self._module, folds, fused, self.images, bfloat16=False, size=self._batch)
        runner.set(fold(self._own, folds))
        try:
            have = self._logits(runner.module)
        except (RuntimeError, TypeError, ValueError, AttributeError):  # the network's code minds what it meets
            return None
        agree = have.shape == want.shape and bool((have - want).abs().max() <= FOLDED * want.abs().max())
        return runner if agree else None

    def _runner(self, bfloat16: bool) -> Runner:
        if bfloat16 not in self._runners:
            parts = (self._module, self.folds, self.fused, self.images)
            self._runners[bfloat16] = Runner(*parts, bfloat16, self._batch)
        return self._runners[bfloat16]

    def _at(self, state: Mapping[str, Tensor], bfloat16: bool) -> Measured:
        """`state`: all tensors of the network."""
        if self.statistics == "recalibrated":
            self._recalibrator = self._recalibrator or Recalibrator(self._module, self.images)
            state = self._recalibrator.at(state, bfloat16)
        runner = self._runner(bfloat16)
        runner.set(fold(state, self.folds))
        return runner.run()

    def _move(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {**self._own, **self._check(weights)}

    def _check(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By canonical name, on the device, in the precision of the network's own."""
        found = {}
        for name, tensor in tensors.items():
            own = self._own.get(self._names.get(name, ""))
            if own is None or own.shape != tensor.shape:
                there = f"shape {tuple(own.shape)}" if own is not None else "no such tensor"
                raise BadInput(f"{name!r} was given with shape {tuple(tensor.shape)}, {self.model.name} has {there}.")
            found[self._names[name]] = tensor.detach().to(own.device, own.dtype)
        return found


class Plane:
    """Points of a plane: the network's weights plus steps along directions. Made by `Evaluator.plane`.

    Where the directions leave the factors of batch normalisation alone, all is folded once, and a point costs
    a linear combination and the passes over the images."""

    def __init__(self, evaluator: Evaluator, directions: list[dict[str, Tensor]]) -> None:
        self.evaluator, self.directions = evaluator, directions
        own, folds = evaluator._own, evaluator.folds
        self._linear = evaluator.statistics == "frozen" and all(folds_linearly(d, folds) for d in directions)
        if self._linear:
            self._base = fold(own, folds)
            folded = [fold_direction(d, own, folds) for d in directions]
            moving = set().union(*folded)
            self._moving = [name for name in self._base if name in moving]
            self._start = [self._base[name] for name in self._moving]
            self._ways = [[_fill(d, name, self._base) for name in self._moving] for d in folded]

    def at(self, *steps: float) -> Measured:
        """Loss and accuracy at weights + Σ step × direction; one step a direction."""
        return self._at(steps, self.evaluator.settle_precision(*self.directions) == "bfloat16")

    def exactly(self, *steps: float) -> Measured:
        """The same in float32, whatever the precision in use."""
        return self._at(steps, bfloat16=False)

    def _at(self, steps: tuple[float, ...], bfloat16: bool) -> Measured:
        if len(steps) != len(self.directions):
            raise BadInput(
                f"The plane has {plural(len(self.directions), 'direction')}, got {plural(len(steps), 'step')}."
            )
        if not self._linear:
            return self.evaluator._at(self._state(steps), bfloat16)
        runner = self.evaluator._runner(bfloat16)
        if runner.holder is not self:
            runner.set(self._base, self)
        with torch.inference_mode():
            point = list(self._start)
            for way, step in zip(self._ways, steps, strict=True):
                point = list(torch._foreach_add(point, way, alpha=float(step))) if point else point
            runner.set(dict(zip(self._moving, point, strict=True)), self)
        return runner.run()

    def _state(self, steps: tuple[float, ...]) -> dict[str, Tensor]:
        """All tensors of the network at a point. Counters stay as they are."""
        state = dict(self.evaluator._own)
        for direction, step in zip(self.directions, steps, strict=True):
            for name, way in direction.items():
                state[name] = state[name] + float(step) * way
        return state


def log_error(exact: float, other: float) -> float:
    """|log10 other − log10 exact|; 0 for two equal losses, also where both are 0 or inf."""
    if exact == other:
        return 0.0
    if not (0 < exact < math.inf and 0 < other < math.inf):
        return math.inf
    return abs(math.log10(other / exact))


def is_within_bounds(errors: Sequence[float]) -> bool:
    """Whether these errors let bfloat16 serve. False if none were measured."""
    return bool(errors) and numbers.median(errors) <= MEDIAN and max(errors) <= MAXIMUM


def _drop_zeros(direction: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without tensors of zeros, and without counters, which do not move."""
    return {name: way for name, way in direction.items() if way.is_floating_point() and bool(way.any())}


def _fill(direction: Mapping[str, Tensor], name: str, base: Mapping[str, Tensor]) -> Tensor:
    way = direction.get(name)
    return torch.zeros_like(base[name]) if way is None else torch.empty_like(base[name]).copy_(way)


def _hash(images: Tensor, labels: Tensor) -> str:
    """sha256, hex, of pixels and labels."""
    digest = hashlib.sha256(f"{images.dtype}{tuple(images.shape)}".encode())
    for tensor in (images, labels):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _map_names(module: nn.Module) -> dict[str, str]:
    """Every name of a parameter or buffer → the name under which `named_tensors` lists it."""
    first = {id(tensor): name for name, tensor in named_tensors(module).items()}
    every = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return {name: first[id(tensor)] for name, tensor in every}


def _depends_on_batch(module: nn.Module) -> bool:
    """Whether an answer depends on the other images of its pass: batch normalisation without statistics."""
    return any(isinstance(child, _BatchNorm) and child.running_mean is None for child in module.modules())


def _refuse_other(what: str, word: str, known: Iterable[str]) -> None:
    if word not in known:
        raise BadInput(f"{what} must be {' or '.join(map(repr, known))}, got {word!r}.")
