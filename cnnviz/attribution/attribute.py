"""Attribution: saliency, Grad-CAM, guided backpropagation, deconvolution, integrated gradients, occlusion."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.attribution.gradcam import grad_cam
from cnnviz.attribution.occlusion import Counter, occlude
from cnnviz.display import Summarised
from cnnviz.errors import BadInput, Cancelled, import_package
from cnnviz.interventions.relu_rules import RectifierRule
from cnnviz.models.model import LoadedModel
from cnnviz.probes.predictions import Prediction, predict_image, prepare_image
from cnnviz.wording import plural

METHODS = ("saliency", "grad_cam", "guided_backprop", "deconvolution", "integrated_gradients", "occlusion")
BASELINES = {"black": 0, "gray": 128, "white": 255}  # what integrated gradients start from, of 255
_RULES = {"saliency": "gradient", "guided_backprop": "guided", "deconvolution": "deconvnet"}
_STEPS_AT_ONCE = 4 * 224 * 224  # pixels of the images in one pass of integrated gradients


@dataclass(frozen=True, slots=True, repr=False)
class Attribution(Summarised):
    """How much each part of one image speaks for class `target`.

    `values`: (C, H, W) float32 for gradients, one value an input value; (H, W) for occlusion; (h, w) over the whole
    image for Grad-CAM. `logit`, `probability`: of the target. `seconds`: that it took. `layer`: of Grad-CAM. Integrated
    gradients only: `baseline`, `steps`, and `completeness_error`, the sum of `values` minus (logit − the baseline's
    logit), which would be 0 with endless steps; NaN otherwise. `unjudged`: of guided backpropagation and deconvolution,
    the elementwise functions that keep their true gradient, see `relu_rules.RectifierRule`."""

    method: str
    values: np.ndarray
    target: int
    logit: float
    probability: float
    seconds: float
    layer: str = ""
    baseline: str = ""
    steps: int = 0
    completeness_error: float = math.nan
    unjudged: tuple[str, ...] = ()

    @property
    def signed(self) -> bool:
        """True if `map` has both signs: what speaks for the class, and what against it."""
        return self.method not in ("saliency", "grad_cam")

    @property
    def map(self) -> np.ndarray:
        """(h, w) float32: of saliency the largest magnitude among the channels, of other gradients their sum."""
        if self.values.ndim == 2:
            return self.values
        return np.abs(self.values).max(axis=0) if self.method == "saliency" else self.values.sum(axis=0)


def attribute(
    model: LoadedModel,
    image: Any,
    target: int | None = None,
    method: str = "saliency",
    *,
    layer: str | None = None,
    baseline: str = "black",
    steps: int = 50,
    size: int | None = None,
    stride: int | None = None,
    progress: Counter | None = None,
) -> Attribution:
    """What of one image, RGB uint8 (H, W, 3), PIL, or a normalised tensor (C, H, W), speaks for a class.

    `target`: a class; None is the most probable one. `method`, one of METHODS; f is the target's logit:
    - "saliency": |∂f/∂x| (Simonyan et al. 2014, arXiv:1312.6034, section 3);
    - "grad_cam": see `gradcam.grad_cam`; `layer`: None is the last one with maps;
    - "guided_backprop", "deconvolution": the gradient with another rule at every rectifier, module or function, see
      `relu_rules.RectifierRule` (Springenberg et al. 2015, arXiv:1412.6806; Zeiler and Fergus, ECCV 2014);
    - "integrated_gradients": from `baseline`, one of BASELINES, in `steps` (Sundararajan et al. 2017,
      arXiv:1703.01365), computed by Captum with Gauss-Legendre quadrature;
    - "occlusion": the probability that a gray square takes away, see `occlusion.occlude` for `size` and `stride`.
    `progress(done, total)`, of the last two, returns False to stop. The network is left as it was, also after an
    exception. Raises BadInput for a wrong choice or a network the method cannot be used on, UnknownName for a
    layer, Cancelled, CnnvizError if Captum is needed and missing.

    Example:
        >>> import cnnviz
        >>> from cnnviz.attribution.attribute import attribute
        >>> model, three = cnnviz.load("lenet5", device="cpu"), cnnviz.corpus("digits").image(3)
        >>> found = attribute(model, three, method="grad_cam")
        >>> found.target, found.layer, found.map.shape
        (3, 'relu2', (10, 10))
    """
    if method not in METHODS:
        raise BadInput(f"No attribution named {method!r}. Choose one of: {', '.join(METHODS)}.")
    batch = prepare_image(model, image)
    found = predict_image(model, batch)
    target, started = found.check_label(target), time.perf_counter()
    more: dict[str, Any] = {}
    if method == "grad_cam":
        values, more["layer"] = grad_cam(model, batch, target, layer)
    elif method == "integrated_gradients":
        values, more = _integrate_gradients(model, batch, found, target, baseline, steps, progress)
    elif method == "occlusion":
        places = occlude(model, batch, target, size, stride, progress=progress)
        values = places.over_image(places.drop)
    else:
        rules = RectifierRule(_RULES[method])
        values = input_gradient(model, batch, target, rules)
        more["unjudged"] = tuple(rules.unjudged)
    seconds = time.perf_counter() - started
    logit, share = float(found.logits[target]), float(found.probabilities[target])
    return Attribution(method, values, target, logit, share, seconds, **more)


def input_gradient(
    model: LoadedModel, batch: Tensor, target: int, rule: RectifierRule | str = "gradient"
) -> np.ndarray:
    """(C, H, W) float32: the derivative of the target's logit by the normalised image `batch` (1, C, H, W), with a
    rule of `relu_rules.RULES` at every rectifier. Raises BadInput if the logit does not depend on the image."""
    with model.gradients():
        leaf = batch.clone().requires_grad_()
        with RectifierRule(rule) if isinstance(rule, str) else rule:
            score = model.compute_logits(leaf.clone())[0, target]  # a network may begin with an in-place layer
        if not score.requires_grad:
            raise BadInput(f"The answer of {model.name} does not depend on the image in a differentiable way.")
        (signal,) = torch.autograd.grad(score, leaf)
    return signal[0].float().cpu().numpy()


def _integrate_gradients(
    model: LoadedModel,
    batch: Tensor,
    found: Prediction,
    target: int,
    baseline: str,
    steps: int,
    progress: Counter | None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Values (C, H, W), and the fields of the result that describe them. The lock is held for one pass at a time."""
    if baseline not in BASELINES or steps < 1:
        raise BadInput(f"baseline is one of {', '.join(BASELINES)} and steps >= 1, got {baseline!r} and {steps}.")
    captum = import_package("captum.attr", "Integrated gradients are Captum's")
    many = max(1, min(steps, model.most_at_once, _STEPS_AT_ONCE // batch[0, 0].numel()))
    counter = _CountingModel(model, progress, steps)
    with model.gradients():
        start = _make_gray(model, BASELINES[baseline], batch)
        leaf = batch.clone().requires_grad_()
        values = captum.IntegratedGradients(counter.forward).attribute(
            leaf, start, target=target, n_steps=steps, method="gausslegendre", internal_batch_size=many
        )
    values = values.detach()[0].float().cpu().numpy()
    before = float(predict_image(model, start).logits[target])
    missing = float(values.sum(dtype=np.float64)) - (float(found.logits[target]) - before)
    return values, {"baseline": baseline, "steps": steps, "completeness_error": missing}


class _CountingModel:
    """The network as Captum calls it, which counts the images on the way to `total`."""

    def __init__(self, model: LoadedModel, progress: Counter | None, total: int) -> None:
        self.model, self.progress, self.total, self.done = model, progress, total, 0

    def forward(self, batch: Tensor) -> Tensor:
        """(N, classes) logits. Raises Cancelled when `progress` has returned False."""
        if self.progress is not None and self.progress(min(self.done, self.total), self.total) is False:
            raise Cancelled(f"Stopped after {self.done} of {plural(self.total, 'step')}. Nothing was changed.")
        self.done += len(batch)
        with self.model.lock:
            return self.model.compute_logits(batch.clone())


def _make_gray(model: LoadedModel, level: int, batch: Tensor) -> Tensor:
    """A normalised image of one gray, shaped like `batch`."""
    mean, std = (batch.new_tensor(v)[:, None, None] for v in (model.preprocessing.mean, model.preprocessing.std))
    return ((level / 255 - mean) / std).expand_as(batch).contiguous()
