"""The top-k search: forward passes of one batch size that feed the running records of every layer."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from cnnviz.index.search.loader import Batch
from cnnviz.index.search.topk import RunningTop
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import count_calls, label_call, name_call, run_until_seen

SAMPLE_EVERY = 32  # one batch in so many is looked at unit by unit, for the statistics: it costs as much as a layer


class Search:
    """The running top k of the wanted layers; all of it lives on the model's device.

    Every pass holds `batch` images, the last one too, filled up with repetitions that count for nothing: so
    an image's values depend on neither the size of the corpus nor on who computes its neighbours. `groups`: a number
    an image of the corpus, of which one alone can be among the winners of a channel."""

    def __init__(
        self, model: LoadedModel, layers: list[str], k: int, batch: int, bfloat16: bool, groups: list[int] | None = None
    ) -> None:
        self.model, self.layers, self.k, self.batch, self.bfloat16 = model, layers, k, batch, bfloat16
        self.tops: dict[str, RunningTop] = {}
        self._calls = self._name_calls()
        self._groups = None if groups is None else torch.tensor(groups, device=model.device)

    def _name_calls(self) -> dict[str, list[str]]:
        """{call to be visited: names wanted for it}: "relu" and "relu:2" may be the same call."""
        with self.model.lock, torch.inference_mode():
            counts = count_calls(self.model.module, torch.zeros(1, *self.model.input_size, device=self.model.device))
        names: dict[str, list[str]] = {}
        for name in self.layers:
            often = name_call(self.model.module, name)[1] is None and counts[name] > 1
            names.setdefault(label_call(name, counts[name], counts) if often else name, []).append(name)
        return names

    def add(self, found: Batch) -> None:
        """Run one decoded batch and take in its maxima."""
        if found.pixels is None:
            return
        count, sample = len(found.positions), (found.end - 1) // self.batch % SAMPLE_EVERY == 0
        images = torch.tensor(found.positions, device=self.model.device)

        def visit(call: str, output: Tensor) -> None:
            maps = as_maps(output)[:count]
            for layer in self._calls[call]:
                self._find_top(layer, maps).add_maps(maps, images, sample)

        device = self.model.device
        autocast = torch.autocast(device.type, torch.bfloat16) if self.bfloat16 else nullcontext()
        with self.model.lock, torch.inference_mode(), autocast:
            run_until_seen(self.model.module, list(self._calls), self._normalise(found.pixels), visit)

    def _normalise(self, pixels: Tensor) -> Tensor:
        if len(pixels) < self.batch:
            pixels = torch.cat([pixels, pixels[-1:].expand(self.batch - len(pixels), -1, -1, -1)])
        return self.model.normalise(pixels)

    def _find_top(self, layer: str, maps: Tensor) -> RunningTop:
        if layer not in self.tops:
            self.tops[layer] = RunningTop(maps.shape[1], maps.shape[3], self.k, maps.device, self._groups)
        return self.tops[layer]

    def settle(self) -> None:
        """Bring everything that waits into the records."""
        for top in self.tops.values():
            top.settle()
