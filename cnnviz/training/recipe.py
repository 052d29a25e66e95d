"""Training recipe: optimiser, schedule and augmentation as plain data saved with the weights."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from cnnviz.errors import BadInput

SCHEDULES = ("cosine", "step", "constant")
INITIALISATIONS = ("default", "he", "xavier", "zero")  # and "normal 0.01", with any deviation
_MILESTONES = (0.5, 0.75)
_NORMAL = re.compile(r"normal (\d+(?:\.\d+)?(?:e-?\d+)?)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """SGD with Nesterov momentum, and what is done to the images.

    `lr`: peak learning rate for the batch size given. `schedule`: "cosine" falls to 0; "step" divides by
    10 at each of `milestones` (shares of the epochs); "constant". `warmup`: epochs of linear rise.
    `crop`: zero padding in pixels before a random crop of the original size; `shift`: random shift by up
    to so many pixels (the same operation under the name MNIST users expect); `flip`: mirror half of the
    images. `precision`: "auto" takes bfloat16 autocast where the device gains; "bfloat16" too is
    computed in float32 by a CPU that is slow in it, see `device.usable_precision`. `initialisation`: of the weights,
    "default" as the architecture draws them, or one of INITIALISATIONS or "normal 0.01", see `initialise`.
    `side`: the random crop is of so many pixels only, which costs less time; the last tenth of the epochs sees images
    of the original size (0: all do), as the test does. Source: Touvron et al., NeurIPS 2019 (arXiv:1906.06423).
    `folded_norm`: batch norm behind the convolutions while they are trained, which the weights that are kept have taken
    in, see `folded_norm.add_norms`.
    """

    epochs: int = 60
    batch: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    milestones: tuple[float, ...] = _MILESTONES
    warmup: float = 1.0
    label_smoothing: float = 0.0
    crop: int = 4
    flip: bool = True
    shift: int = 0
    seed: int = 0
    precision: str = "auto"
    initialisation: str = "default"
    side: int = 0
    folded_norm: bool = False

    def __post_init__(self) -> None:
        rules = {
            "epochs": self.epochs >= 1,
            "batch": self.batch >= 1,
            "lr": math.isfinite(self.lr) and self.lr > 0,
            "momentum": 0 <= self.momentum < 1,
            "weight_decay": self.weight_decay >= 0,
            "schedule": self.schedule in SCHEDULES,
            "milestones": all(0 < m < 1 for m in self.milestones),
            "warmup": 0 <= self.warmup <= self.epochs,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "crop": self.crop >= 0,
            "shift": self.shift >= 0,
            "side": self.side >= 0,
            "precision": self.precision in ("auto", "float32", "bfloat16"),
            "initialisation": self.initialisation in INITIALISATIONS or read_deviation(self.initialisation) is not None,
        }
        for name, good in rules.items():
            if not good:
                raise BadInput(f"Recipe: {name} = {getattr(self, name)!r} is out of range. See `cnnviz train --help`.")

    def side_in(self, epoch: int) -> int:
        """Side of the random crop in an epoch, counted from 0; 0 for the original size."""
        return self.side if epoch < self.epochs - math.ceil(self.epochs / 10) else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"milestones": list(self.milestones)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Inverse of `as_dict`; unknown keys raise BadInput."""
        known = {f.name for f in fields(cls)}
        if extra := set(values) - known:
            raise BadInput(f"Recipe: unknown settings {sorted(extra)}. Known: {sorted(known)}.")
        return cls(**(values | {"milestones": tuple(values.get("milestones", _MILESTONES))}))


def read_deviation(initialisation: str) -> float | None:
    """The standard deviation of "normal 0.01"; None for any other initialisation."""
    found = _NORMAL.fullmatch(initialisation)
    deviation = float(found[1]) if found else 0.0
    return deviation if 0 < deviation <= 100 else None


def default_recipe(channels: int, gently: bool = False, **changes: Any) -> Recipe:
    """A recipe that suits an input of `channels`: digits are shifted, never mirrored; photographs are
    cropped and mirrored. `gently`: of a training that begins with trained weights: a tenth of the learning rate, and 20
    epochs. `changes` override single settings."""
    suited: dict[str, Any] = dict(epochs=20, lr=0.05, crop=0, flip=False, shift=2) if channels == 1 else {}
    if gently:
        suited |= dict(epochs=20, lr=Recipe(**suited).lr / 10)
    return Recipe(**(suited | changes))


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Learning rate of step `step`, counted from 0 over the whole run."""
    total, warm = recipe.epochs * steps_per_epoch, round(recipe.warmup * steps_per_epoch)
    if step < warm:
        return recipe.lr * (step + 1) / warm
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule == "step":
        return recipe.lr * 0.1 ** sum(step >= m * total for m in recipe.milestones)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
