"""Recalibrating batch normalisation: its statistics recomputed at each point of a landscape, over the images.

Source: Izmailov, Podoprikhin, Garipov, Vetrov, Wilson, UAI 2018 (arXiv:1803.05407), section 3.2; used for
landscapes by Garipov et al., NeurIPS 2018 (arXiv:1802.10026)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnnviz.device import out_of_memory, release
from cnnviz.errors import DeviceLost
from cnnviz.landscape.evaluate.loss import Images, exactness
from cnnviz.landscape.evaluate.runner import named_tensors

BATCH = 250  # images of one pass; fixed, since a batch is normalised by its own statistics


class Recalibrator:
    """A private, unfolded copy of `module` whose batch normalisations gather statistics over `images`."""

    def __init__(self, module: nn.Module, images: Images) -> None:
        self.images = images
        self._module = copy.deepcopy(module).eval()
        self._norms = [m for m in self._module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
        for norm in self._norms:
            norm.momentum = None  # the plain mean over the batches
        self._tensors = named_tensors(self._module)

    def at(self, state: Mapping[str, Tensor], bfloat16: bool) -> dict[str, Tensor]:
        """`state`, all tensors of the network, with the statistics that its weights give on the images.

        Raises DeviceLost if there is no room for BATCH of them: fewer would give other statistics."""
        with torch.no_grad():
            for name, tensor in state.items():
                self._tensors[name].copy_(tensor)
        if not self._norms:
            return dict(state)
        self._module.eval()  # some networks forget there what they derived from other weights
        for norm in self._norms:
            norm.train()
            norm.reset_running_stats()
        self._gather(bfloat16)
        found = {name: tensor.clone() for name, tensor in self._tensors.items()}
        return {**state, **{name: found[name] for name in state if found[name].shape == state[name].shape}}

    def _gather(self, bfloat16: bool) -> None:
        device = self.images.labels.device
        try:
            with exactness(device, bfloat16):
                for images, _labels in self.images.parts(BATCH):
                    self._module(images)
            return
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = (str(error).splitlines() or [""])[0][:160]
        release(device)  # outside the except block, see there
        raise DeviceLost(
            f"{device} is out of memory ({reason}): recalibrating the statistics takes {BATCH} images at once, since "
            "their number changes the outcome. Choose frozen statistics (--statistics frozen), fewer images, a smaller "
            "network or another device."
        )
