"""Trying a network before it is shown: its memory format, whether images may share a pass, what its scores are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnviz.errors import BadInput
from cnnviz.models.memory_format import agrees, is_close, make_light_copy, make_noise, make_trial_copy, run_trial
from cnnviz.models.output import SIGMOID, find_ending

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_ASKED = re.compile(r"\.item\(\)|_local_scalar_dense|meta tensor; no data|aten::nonzero|is ambiguous|aten::equal")
_FAR = 1000.0  # standard deviations of noise that drives what is bounded to its bounds
RANDOM = (
    "It draws random numbers also in evaluation mode, such as a dropout that is not told the mode: every pass differs."
)
ALONE = "It takes one image at a time."
READING = "It looks at values on its way, and may take another way for other images: they go through it one at a time."
COUPLED = "Its answer to an image depends on the other images of the pass: images go through it one at a time."
BOUNDED = "Its scores lie between 0 and 1 whatever the image: they were taken for probabilities, each on its own."


@dataclass(frozen=True, slots=True)
class Trial:
    """What a few passes over noise tell of a network in eval mode.

    `memory_format`: channels_last where it gives the scores of contiguous_format. `together`: whether images may share
    a pass. `ending`: see `output.find_ending`. `remarks`: sentences for the user, on what is unusual or assumed."""

    memory_format: torch.memory_format
    together: bool = True
    ending: str = ""
    remarks: tuple[str, ...] = ()


def try_network(module: nn.Module, input_size: tuple[int, int, int], name: str = "The network") -> Trial:
    """Try `module` with two images, each alone and both together, in both memory formats, and compare the scores.

    `input_size`: (C, H, W). Large networks are tried without most of their arithmetic, see
    `memory_format.make_trial_copy`. The module may be in either format afterwards. Raises BadInput for a network that
    takes two images and not one."""
    import torch

    plain, three = torch.contiguous_format, any(tensor.dim() == 5 for tensor in module.parameters())
    if any(tensor.is_meta for tensor in module.parameters()):  # without values there is nothing to be compared
        return Trial(torch.channels_last)
    images = make_noise(module, input_size)
    tried, both, exact = make_trial_copy(module, images)
    own = images if exact else images[1:]  # those that go through it alone
    alone = [run_trial(tried, image[None], plain, gradient=True) for image in own]
    if any(scores is None for scores in alone):  # NumPy, for one, takes no gradients
        alone = [run_trial(tried, image[None], plain) for image in own]
    if alone[0] is None and both is not None:
        raise BadInput(f"{name} takes two images in a pass and not one. Every image must have an answer of its own.")
    known = [scores for scores in alone if scores is not None and scores.numel()]
    if len(known) < len(own):  # it fails with noise, or there is no room to try it
        last = not three and agrees(tried, images[:1]) and agrees(tried, images, both)
        return Trial(torch.channels_last if last else plain)
    values = torch.cat([scores.detach() for scores in known])
    same = both is not None and is_close(both[-len(own) :], values)
    unsteady = not same and not is_close(run_trial(tried, own[:1], plain, seed=1), values[:1])
    together = same or (both is not None and unsteady)
    remarks = [RANDOM] * unsteady + ([] if together else [ALONE if both is None else COUPLED])
    if together and reads_values(tried, images):
        together, remarks = False, [*remarks, READING]
    endings = {find_ending(scores) for scores in known}
    ending = endings.pop() if len(endings) == 1 else ""
    if not ending and _is_bounded(tried, images, values):
        ending, remarks = SIGMOID, [*remarks, BOUNDED]
    last = not three and (together or agrees(tried, own[:1], values[:1]))
    last = last and (not together or agrees(tried, images, both))
    return Trial(torch.channels_last if last else plain, together, ending, tuple(remarks))


def try_known(module: nn.Module, input_size: tuple[int, int, int]) -> Trial:
    """What `try_network` finds of a network of cnnviz's own code, which runs in either format and couples no images:
    only its ending is looked for, in one pass without most of the arithmetic."""
    import torch

    if any(tensor.is_meta for tensor in module.parameters()):
        return Trial(torch.channels_last)
    light, _spent = make_light_copy(module)
    scores = run_trial(light, make_noise(module, input_size, 1), torch.contiguous_format, gradient=True)
    return Trial(torch.channels_last, ending="" if scores is None or not scores.numel() else find_ending(scores))


def reads_values(module: nn.Module, images: Tensor) -> bool:
    """Whether the code of the network asks for values of its tensors, such as `if scores.max() > 0.9`: found by a pass
    on the meta device, which has none."""
    import torch
    from torch.func import functional_call

    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    try:
        with torch.no_grad():
            empty = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
            functional_call(module, empty, (torch.empty_like(images, device="meta"),))
    except Exception as error:  # noqa: BLE001, a stranger's network may fail in any way
        return _ASKED.search(str(error)) is not None
    return False


def _is_bounded(module: nn.Module, images: Tensor, scores: Tensor) -> bool:
    """Whether scores that differ lie in 0..1 also where images are as far from 0 as none is."""
    import torch

    def inside(values: Tensor) -> bool:
        return bool(((values >= 0) & (values <= 1)).all())

    if len(scores) < 2 or not inside(scores) or bool((scores == scores[:1]).all()):
        return False
    far = [
        run_trial(module, sign * _FAR * image[None], torch.contiguous_format) for image in images for sign in (1, -1)
    ]
    return all(values is not None and inside(values) for values in far)
