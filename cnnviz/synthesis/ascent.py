"""The ascent: steps of Adam on the parameters of images, along the gradient of what a layer gives for random views."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnnviz.device import on_one_core
from cnnviz.errors import BadInput
from cnnviz.interventions.relu_rules import REDIRECTED, RectifierRule
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import open_partial_pass
from cnnviz.synthesis.objective import likeness, score
from cnnviz.synthesis.parameters import ImageParameters
from cnnviz.synthesis.settings import SynthesisSettings
from cnnviz.synthesis.views import draw_view, take_middle, take_views
from cnnviz.synthesis.window import FieldWindow

NEUTRAL = 128 / 255  # gray, of what is not made
ONE_CORE = 1 << 14  # pixels of a batch up to which one core is as fast as several, and unharmed by other programs
HOLD = 0.25  # seconds for which the network is locked, and then free for others
Run = Callable[[Tensor], Tensor]


@dataclass(slots=True)
class Ascent:
    """N images on their way. `weights` (N, C): see `objective.weight_matrix`. `layer`: None is the logits."""

    model: LoadedModel
    layer: str | None
    weights: Tensor | None
    window: FieldWindow
    unit: tuple[int, int] | None  # on the map of the whole image
    settings: SynthesisSettings
    parameters: ImageParameters
    generators: list[torch.Generator]  # one a copy; images of one copy see the same views

    def run(
        self, marks: Sequence[int], until: float = float("inf"), watch: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (steps done, history (steps, N)) at each of the `marks` and at the end; the end comes early at
        `until`, by `time.monotonic`. `watch` is told the steps done while the network is free."""
        history: list[np.ndarray] = []
        optimiser = torch.optim.Adam(self.parameters.tensors, lr=self.settings.rate or 0.05)
        steps = self.settings.steps
        while len(history) < steps and (not history or time.monotonic() < until):
            mark = min([m for m in marks if m > len(history)] + [steps])
            with self._open() as run:
                pause = time.monotonic() + HOLD
                while True:
                    history.append(self._step(run, optimiser, len(history)))
                    if len(history) == mark or time.monotonic() >= min(pause, until):
                        break
            if watch is not None:
                watch(len(history))
            if len(history) == mark or time.monotonic() >= until:
                yield len(history), np.stack(history)

    @contextmanager
    def _open(self) -> Iterator[Run]:
        """The network locked, and a function that gives the maps (N, C, H, W) of a normalised batch."""
        with ExitStack() as stack:
            stack.enter_context(self.model.gradients())
            stack.enter_context(on_one_core(self._is_small()))
            if self.layer is None:
                whole: Run = self.model.compute_logits
            else:
                blank = torch.zeros(1, *self.model.input_size, device=self.model.device)
                whole = stack.enter_context(open_partial_pass(self.model.module, self.layer, blank))
            most = self.model.most_at_once
            yield lambda batch: as_maps(
                torch.cat([whole(part) for part in batch.split(most)]) if len(batch) > most else whole(batch)
            )

    def _is_small(self) -> bool:
        top, left, bottom, right = self.window.given
        return len(self.parameters.tensors[0]) * (bottom - top) * (right - left) <= ONE_CORE

    def _step(self, run: Run, optimiser: torch.optim.Optimizer, done: int) -> np.ndarray:
        calm = _anneal(done / self.settings.steps)
        drawn = torch.stack([draw_view(generator, self.settings) for generator in self.generators]) * calm
        views = drawn.repeat(len(self.parameters.tensors[0]) // len(drawn), 1)
        values, gradients = self._gradients(run, views)
        silent = [bool((gradient == 0).flatten(1).all(1).any()) for gradient in gradients]
        if any(silent):
            with RectifierRule(REDIRECTED) as rule:
                _values, redirected = self._gradients(run, views, rule)
            gradients = [_replace_silent(g, r) for g, r in zip(gradients, redirected, strict=True)]
        for group in optimiser.param_groups:
            group["lr"] = (self.settings.rate or 0.05) * calm
        for tensor, gradient in zip(self.parameters.tensors, gradients, strict=True):
            tensor.grad = -gradient
        optimiser.step()
        return values

    def _gradients(self, run: Run, views: Tensor, rule: RectifierRule | None = None) -> tuple[np.ndarray, list[Tensor]]:
        """What is maximised, (N,), and its gradients by the parameters."""
        canvas = self.parameters.render()
        patches = take_views(canvas, self.window.size, views)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            maps = run(self._normalise(self.window.surround(patches, NEUTRAL)))
        if rule is not None:
            maps = as_maps(rule.resolve(maps))
        values = score(maps, self.weights, self.settings.objective, self.window.unit)
        if not values.requires_grad:
            raise BadInput(f"Layer {self.layer!r} does not depend on the image in a differentiable way.")
        wanted = values
        copies = self.settings.copies
        if copies > 1 and self.settings.diversity:
            cost = values.detach().abs() * likeness(maps, copies)
            wanted = values - self.settings.diversity * cost
        gradients = torch.autograd.grad(wanted.sum(), self.parameters.tensors, allow_unused=True)
        found = [
            torch.zeros_like(t) if g is None else g for t, g in zip(self.parameters.tensors, gradients, strict=True)
        ]
        return values.detach().float().cpu().numpy(), found

    def _normalise(self, images: Tensor) -> Tensor:
        known = self.model.preprocessing
        mean, std = (torch.tensor(v, device=images.device).view(-1, 1, 1) for v in (known.mean, known.std))
        return self.model.lay_out((images - mean) / std)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The images as they are, uint8 (N, H, W, C) with C of 1 or 3, and what the plain network gives for them, (N,)
        float32."""
        with torch.no_grad(), on_one_core(self._is_small()):
            middle = take_middle(self.parameters.render(), self.window.size)
        made = (middle * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        height, width = self.model.input_size[1:]
        images = np.full((len(made), height, width, made.shape[3]), round(NEUTRAL * 255), np.uint8)
        top, left, bottom, right = self.window.box
        images[:, top:bottom, left:right] = made
        return images, self.measure(images)

    def measure(self, images: np.ndarray) -> np.ndarray:
        """(N,) float32: what is maximised, of images uint8 (N, H, W, C) in the plain network, one after the other."""
        channels, found = self.model.input_size[0], []
        with self._open() as run, torch.no_grad():
            for number, image in enumerate(images):
                received = torch.from_numpy(np.broadcast_to(image, (*image.shape[:2], channels)).copy())
                weights = None if self.weights is None else self.weights[number : number + 1]
                maps = run(self.model.normalise(received[None]))
                found.append(float(score(maps, weights, self.settings.objective, self.unit)))
        return np.array(found, np.float32)


def _anneal(share: float) -> float:
    """The factor of the rate and of how far views go: 1 at first, down to 0.1 in the last third."""
    return min(1.0, 0.1 + 2.7 * (1 - share))


def _replace_silent(gradient: Tensor, redirected: Tensor) -> Tensor:
    """`gradient`, and of images where that is 0 throughout the `redirected` one."""
    silent = (gradient == 0).flatten(1).all(1).view(-1, *[1] * (gradient.ndim - 1))
    return torch.where(silent, redirected, gradient)
