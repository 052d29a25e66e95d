"""The choices of a training as the app offers them: plain data in the folder of the run, from which it goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.errors import BadInput
from cnnviz.store import write_json
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.training.control import TrainingControl
    from cnnviz.training.loop import TrainingProgress
    from cnnviz.training.recipe import Recipe

CHOICES = "choices.json"
EVERY = 20  # steps from one look into the layers to the next: small networks are seen to change
_SHIFT = 1 / 14  # of the side: two pixels of 28


@dataclass(frozen=True, slots=True)
class TrainingChoices:
    """What is trained on what, and how. `network`: of the catalogue; `data`: as for `load_labelled`; `activation`: one
    of `variants.description.ACTIVATIONS`, "" as published; `norm`: False without batch norm; `dropout`: percent, None
    as published; `augment`: shifts, and of photographs mirrored ones; `per_class`: images of each class, 0 for all;
    `start`: weights to begin with, as for `train`, "" for none. The others as for `Recipe`."""

    network: str = "lenet5"
    data: str = "digits"
    activation: str = ""
    norm: bool = True
    dropout: int | None = None
    lr: float = 0.05
    batch: int = 64
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: bool = False
    initialisation: str = "default"
    epochs: int = 30
    per_class: int = 0
    start: str = ""

    @property
    def architecture(self) -> str:
        """The network with its changes, by its one name. Raises UnknownName."""
        from cnnviz.models.variants.naming import name_variant

        return name_variant(self.network, self.activation or None, self.norm, self.dropout)

    @property
    def recipe(self) -> Recipe:
        """How it is trained. Raises BadInput for values out of range."""
        from cnnviz.models.catalogue.registry import find
        from cnnviz.training.recipe import Recipe

        channels, high, wide = find(self.network).input_size
        shift = max(1, round(_SHIFT * min(high, wide))) if self.augment else 0
        return Recipe(
            epochs=self.epochs,
            batch=self.batch,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            warmup=min(1.0, self.epochs),
            crop=shift if channels > 1 else 0,
            shift=shift if channels == 1 else 0,
            flip=self.augment and self.data not in ("digits", "mnist"),
            initialisation=self.initialisation,
        )

    def settle(self) -> TrainingChoices:
        """The same without changes that the network does not allow or that leave it as it is. Raises CnnvizError for
        what cannot be trained, whatever the data."""
        from cnnviz.models.variants.description import PREFIX, NetworkVariant, parse_variant

        name, _ = self.architecture, self.recipe
        found = parse_variant(name.removeprefix(PREFIX)) if name != self.network else NetworkVariant(name)
        return replace(self, activation=found.activation or "", norm=found.norm, dropout=found.dropout)

    def describe(self, other: TrainingChoices | None = None) -> str:
        """The choices in words, e.g. "learning rate 0.1, tanh"; `other`: those alone that differ from it."""
        usual = other or replace(TrainingChoices(), network=self.network, data=self.data)
        words = [_WORDS[name](getattr(self, name)) for name in _WORDS if getattr(self, name) != getattr(usual, name)]
        return ", ".join(words)


_WORDS: dict[str, Callable[[Any], str]] = {
    "network": str,
    "data": lambda data: f"on {Path(data).stem}",
    "activation": lambda kind: kind or "activation as published",
    "norm": lambda norm: "batch norm" if norm else "no batch norm",
    "dropout": lambda share: "dropout as published" if share is None else f"dropout {share} %",
    "lr": lambda rate: f"learning rate {rate:g}",
    "batch": lambda size: f"batch {size}",
    "momentum": lambda share: f"momentum {share:g}",
    "weight_decay": lambda decay: f"weight decay {decay:g}",
    "augment": lambda augment: "augmentation" if augment else "no augmentation",
    "initialisation": lambda how: f"initialisation {how}",
    "epochs": lambda count: plural(count, "epoch"),
    "per_class": lambda count: f"{plural(count, 'image')} a class" if count else "all images",
    "start": lambda start: f"from {start.removeprefix('run:')}" if start else "from scratch",
}


def write_choices(folder: Path, choices: TrainingChoices) -> None:
    """Keep the choices in the folder of a run."""
    write_json(folder / CHOICES, asdict(choices))


def read_choices(folder: Path) -> TrainingChoices | None:
    """The choices that a run was started with; None where it was not started by choices, or they are of another
    version."""
    try:
        values = json.loads((folder / CHOICES).read_text(encoding="utf-8"))
        known = {one.name for one in fields(TrainingChoices)}
        return TrainingChoices(**values) if values.keys() <= known else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def make_run(top: Path, choices: TrainingChoices) -> str:
    """Make the folder of a new run below `top`, write the choices into it and return its name, e.g. "lenet5-digits-2".

    Raises BadInput where it cannot be written."""
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", f"{choices.network}-{Path(choices.data).stem[:24]}").strip("-")
    number = 1
    try:
        top.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                (top / f"{stem}-{number}").mkdir()
                break
            except FileExistsError:
                number += 1
        write_choices(top / f"{stem}-{number}", choices)
    except OSError as error:
        raise BadInput(f"The folder of runs cannot be written: {error.strerror or error}. Set CNNVIZ_RUNS.") from error
    return f"{stem}-{number}"


def train_choices(
    folder: Path, control: TrainingControl, progress: Callable[[TrainingProgress], bool | None], device: str = "auto"
) -> Path:
    """Train, or go on with, the run whose choices lie in `folder`, on one core where it is the CPU's, so that whoever
    watches is not kept waiting. Raises as `train`, and BadInput for a folder without choices."""
    from cnnviz.device import use_one_core
    from cnnviz.training.loop import train

    choices = read_choices(folder)
    if choices is None:
        raise BadInput(f"{folder.name} was not started here: it holds no choices that this version of cnnviz knows.")
    use_one_core()
    return train(
        choices.architecture,
        choices.data,
        folder,
        choices.recipe,
        device,
        progress,
        control=control,
        every=EVERY,
        start=choices.start or None,
        per_class=choices.per_class,
    )
