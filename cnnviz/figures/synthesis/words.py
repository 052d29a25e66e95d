"""What is said of preferred inputs: what was maximised, how, and how far it goes beyond real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.figures.base.charts import value_text
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.synthesis.result import PreferredInput

PARAMETERISATIONS = {
    "fourier": "from noise, as Fourier coefficients scaled by 1/f",
    "maco": "from noise, with the amplitudes of photographs",
}


def compare_with_best(activation: float, best: float | None, images: str) -> str:
    """ "18.9, 1.37 × the best of digits (13.8)". `best`: of the corpus named `images`, None where it is not known;
    without a ratio where that is not above 0."""
    reached = value_text(activation)
    if best is None:
        return reached
    beside = f"the best of {images} ({value_text(best)})"
    return f"{reached}, {activation / best:.3g} × {beside}" if best > 0 else f"{reached}, against {beside}"


def describe_objective(found: PreferredInput) -> str:
    """What is maximised, in words."""
    if found.layer is None:
        return "the class's logit, the score before the softmax"
    if found.settings.objective == "channel":
        return "the mean of the channel's map"
    return f"the unit {found.unit}" if found.settings.unit is not None else f"the unit {found.unit}, in the middle"


def describe_making(found: PreferredInput) -> str:
    """How it was made: "256 steps, seed 0, from noise, as Fourier coefficients scaled by 1/f"."""
    steps = plural(len(found.history), "step")
    early = f" ({found.stopped})" if found.stopped else ""
    return f"{steps}{early}, seed {found.settings.seed}, {PARAMETERISATIONS[found.settings.parameterisation]}"
