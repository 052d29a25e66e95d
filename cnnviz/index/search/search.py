"""The top-k search: forward passes of one batch size that feed the running records of every layer."""

from __future__ import annotations

import torch
from torch import Tensor

from cnnviz.engine.observed_pass import ObservedPass, half_precision, record_observed_pass, run_until_seen
from cnnviz.engine.peaks import Peaks, find_peaks
from cnnviz.index.search.batch_size import PAYS
from cnnviz.index.search.loader import Batch
from cnnviz.index.search.topk import RunningTop
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import count_calls, split_call

RECORDED = 2  # the pass that is recorded: layers that are called now and then may be missing from the first
SAMPLE_EVERY = 32  # one batch in so many is looked at unit by unit, for the statistics: it costs as much as a layer


class Search:
    """The running top k of the wanted layers; all of it lives on the model's device.

    Every pass holds `batch` images, the last one too, filled up with repetitions that count for nothing: so
    an image's values depend on neither the size of the corpus nor on who computes its neighbours. On a CPU a pass is
    recorded where there will be many, `passes`; then a rectifier is computed within its convolution, see
    `engine.observed_pass`, as long as only maps with something above 0 can enter the records."""

    def __init__(
        self, model: LoadedModel, layers: list[str], k: int, batch: int, bfloat16: bool, passes: int = 0
    ) -> None:
        self.model, self.layers, self.k, self.batch, self.bfloat16 = model, layers, k, batch, bfloat16
        self.tops: dict[str, RunningTop] = {}
        self.passes, self._calls = passes, self._name_calls()
        self.plainly: frozenset[int] = frozenset()  # images whose peaks are wanted also where they are below 0
        self._candidate: ObservedPass | None = None
        self._until = RECORDED + 1 if model.device.type == "cpu" and passes >= PAYS else 0  # passes left until then
        self._recorded: ObservedPass | None = None

    def _name_calls(self) -> dict[str, list[str]]:
        """{call to be visited: names wanted for it}: "relu" and "relu:2" may be the same call."""
        with self.model.lock, torch.inference_mode():
            counts = count_calls(self.model.module, torch.zeros(1, *self.model.input_size, device=self.model.device))
        names: dict[str, list[str]] = {}
        for name in self.layers:
            often = split_call(name)[1] is None and counts[name] > 1
            names.setdefault(f"{name}:{counts[name]}" if often else name, []).append(name)
        return names

    def add(self, found: Batch) -> None:
        """Run one decoded batch and take in its maxima."""
        if found.pixels is None:
            return
        count, sample = len(found.positions), (found.end - 1) // self.batch % SAMPLE_EVERY == 0
        images = torch.tensor(found.positions, device=self.model.device)

        def visit(call: str, output: Tensor, rectified: bool = False) -> None:
            maps = as_maps(output)[:count]
            for layer in self._calls[call]:
                self._find_top(layer, maps).add_maps(maps, images, sample, rectified)

        with self.model.lock, torch.inference_mode():
            batch = self._normalise(found.pixels)
            if self._recorded is not None:
                plainly = sample or not self.plainly.isdisjoint(found.positions)
                self._recorded(batch, visit, () if plainly else self._find_joined())
            elif sample or not self._record_or_compare(batch, count, images):  # a sample needs more than the maxima
                with half_precision(self.model.device, self.bfloat16):
                    run_until_seen(self.model.module, list(self._calls), batch, visit)

    def _record_or_compare(self, batch: Tensor, count: int, images: Tensor) -> bool:
        """Record the pass over this batch, or compare the record with it, when it is time, and take its maxima in;
        False if the batch still has to be passed."""
        self._until -= 1
        if self._until == 1 and self.tops.keys() >= set(self.layers):  # else some are not always called
            recorded = record_observed_pass(self.model.module, list(self._calls), batch, self.bfloat16)
            self._candidate, seen = recorded or (None, None)
        elif self._until == 0 and self._candidate is not None:
            seen = self._find_own_peaks(batch)
            if self._candidate.agrees(batch, seen):
                self._recorded = self._candidate
            self._candidate = None
        else:
            return False
        for call, (values, flat) in (seen or {}).items():
            for layer in self._calls[call]:
                self.tops[layer].add_peaks(values[:count], flat[:count], images)
        return seen is not None

    def _find_own_peaks(self, batch: Tensor) -> dict[str, Peaks]:
        """The peaks that the network's own code gives."""
        own: dict[str, Peaks] = {}
        with half_precision(self.model.device, self.bfloat16):
            calls = list(self._calls)
            run_until_seen(
                self.model.module, calls, batch, lambda call, maps: own.update({call: find_peaks(as_maps(maps))})
            )
        return own

    def _find_joined(self) -> set[str]:
        """Calls of which what is not above 0 counts for nothing."""
        sure = {layer for layer, top in self.tops.items() if top.above_zero}
        return {call for call, layers in self._calls.items() if sure.issuperset(layers)}

    def _normalise(self, pixels: Tensor) -> Tensor:
        if len(pixels) < self.batch:
            pixels = torch.cat([pixels, pixels[-1:].expand(self.batch - len(pixels), -1, -1, -1)])
        return self.model.normalise(pixels)

    def _find_top(self, layer: str, maps: Tensor) -> RunningTop:
        if layer not in self.tops:
            self.tops[layer] = RunningTop(maps.shape[1], maps.shape[3], self.k, maps.device)
        return self.tops[layer]

    def settle(self) -> None:
        """Bring everything that waits into the records."""
        for top in self.tops.values():
            top.settle()
