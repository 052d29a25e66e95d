"""Attribution methods in words: names, sources, and sentences with their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.figures.base.charts import value_text

NAMES = {
    "saliency": "Saliency",
    "grad_cam": "Grad-CAM",
    "guided_backprop": "Guided backprop",
    "deconvolution": "Deconvolution",
    "integrated_gradients": "Integrated gradients",
    "occlusion": "Occlusion",
}
SHORT = NAMES | dict(guided_backprop="Guided", deconvolution="Deconvnet", integrated_gradients="Integrated")
SOURCES = {
    "saliency": "|∂z/∂x|, the largest of the colour channels. Simonyan, Vedaldi, Zisserman, ICLR workshop 2014 "
    "(arXiv:1312.6034), section 3.",
    "grad_cam": "ReLU(Σₖ αₖ Aᵏ) with αₖ the mean of ∂z/∂Aᵏ over the map, Aᵏ the last maps before the classifier. "
    "Selvaraju et al., ICCV 2017 (arXiv:1610.02391), section 3.",
    "guided_backprop": "∂z/∂x where every ReLU passes what is positive forward and backward alike, summed "
    "over the channels. Springenberg et al., ICLR workshop 2015 (arXiv:1412.6806).",
    "deconvolution": "∂z/∂x where every ReLU passes what is positive in the backward pass, summed over the "
    "channels. Zeiler and Fergus, ECCV 2014 (arXiv:1311.2901), section 2.1.",
    "integrated_gradients": "(x − x₀) times the mean of ∂z/∂x on the straight line from a black image x₀ to x, summed "
    "over the channels; the sum over all pixels is z(x) − z(x₀). Sundararajan et al., ICML 2017 (arXiv:1703.01365).",
    "occlusion": "the probability that a gray square takes away, at every place of the square. Zeiler and Fergus, "
    "ECCV 2014 (arXiv:1311.2901), section 4.2.",
}


def unjudged_sentence(functions: Sequence[str]) -> str:
    """What is said beside back-projections of a network with `functions` in which no rectifier is recognised, written
    as "mul(x, sigmoid(x))"; "" where there are none."""
    if not functions:
        return ""
    known = ", ".join(dict.fromkeys(functions))
    return f"Rectifiers not recognised: {known}; the deconvnet and guided rules treat them by their true gradient."


def seconds_text(seconds: float) -> str:
    """0.0312 → "31 ms", 2.34 → "2.3 s"."""
    return f"{1000 * seconds:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def completeness_sentence(errors: list[tuple[float, float]]) -> str:
    """How well integrated gradients add up. `errors`: (error, the difference of both logits) of each image."""
    parts = [
        value_text(abs(error)) + (f" ({100 * abs(error / total):.2g} %)" if total else "") for error, total in errors
    ]
    return f"Completeness error of integrated gradients, and its share in z(x) − z(x₀): {'; '.join(parts)}."


def correlation_text(value: float) -> str:
    """0.1234 → "ρ = 0.12"; a map that is constant has none."""
    return "ρ: map is constant" if np.isnan(value) else f"ρ = {value:.2f}".replace("-", "−")
