"""Settings of a synthesis, with defaults measured for each size of input."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from cnnviz.errors import BadInput

OBJECTIVES = ("unit", "channel", "max")
PARAMETERISATIONS = ("fourier", "maco")


@dataclass(frozen=True, slots=True)
class SynthesisSettings:
    """How an image is made. None stands for the default of the input's size, which `for_size` puts in.

    `steps`: of Adam. `seed`: of the noise at the start and of the random views. `objective`: "unit", the value at one
    place of the map; "channel", the mean over the map; "max", the largest value of the map. `unit`: (row, col), for
    "unit"; None is the middle of the map. `copies`: different images of one channel; `diversity`: how much their
    likeness costs, as a part of the activation. `parameterisation`: "fourier", amplitudes and phases of a Fourier
    basis scaled by 1/f, colours decorrelated (Olah, Mordvintsev, Schubert 2017); "maco", the phases alone, with the
    amplitudes of photographs (Fel et al. 2023, arXiv:2306.06805). `rate`: of Adam. `shift` (pixels), `turn` (degrees)
    and `zoom` (factor, 1 is none): how far the random views of a step go. `precision`: "float32" or "bfloat16", of the
    passes while it is made; the activation that is reported is always of float32."""

    steps: int = 256
    seed: int = 0
    objective: str = "unit"
    unit: tuple[int, int] | None = None
    copies: int = 1
    diversity: float = 0.5
    parameterisation: str = "fourier"
    rate: float | None = None
    shift: float | None = None
    turn: float | None = None
    zoom: float | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise BadInput(f"No objective named {self.objective!r}. Choose one of: {', '.join(OBJECTIVES)}.")
        if self.parameterisation not in PARAMETERISATIONS:
            known = ", ".join(PARAMETERISATIONS)
            raise BadInput(f"No parameterisation named {self.parameterisation!r}. Choose one of: {known}.")
        if self.precision not in ("float32", "bfloat16"):
            raise BadInput(f'precision is "float32" or "bfloat16", got {self.precision!r}.')
        for name in ("steps", "copies"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise BadInput(f"{name} must be a whole number from 1 on, got {getattr(self, name)!r}.")
        if self.unit is not None and self.objective != "unit":
            raise BadInput(f'unit belongs to the objective "unit", got {self.unit} with {self.objective!r}.')
        bad = [n for n in ("rate", "shift", "turn", "zoom") if (v := getattr(self, n)) is not None and not 0 <= v < 1e4]
        if bad or (self.zoom is not None and self.zoom < 1):
            raise BadInput("rate, shift and turn must be at least 0, and zoom at least 1.")

    def for_size(self, size: tuple[int, int]) -> SynthesisSettings:
        """With the defaults for an image of (h, w) pixels where nothing was set: rate 0.01, of "maco" 0.2; views that
        are turned by up to 5°, zoomed by up to 1.05 and shifted by up to a sixteenth of the longer side, at most 8
        pixels.

        Measured with SqueezeNet (224 pixels), ResNet-20 (32) and LeNet-5 (28): a rate of 0.05 drives colours to black
        and white and reaches less; views that go further reach less in fields of a few pixels, and without any the
        activation is larger and the image noise."""
        side = max(size)
        defaults: dict[str, Any] = {
            "rate": 0.01 if self.parameterisation == "fourier" else 0.2,
            "shift": min(8.0, side / 16),
            "turn": 5.0,
            "zoom": 1.05,
        }
        return replace(self, **{name: value for name, value in defaults.items() if getattr(self, name) is None})

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
