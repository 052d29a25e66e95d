"""What the page Backward shows of networks, computed once for all sessions: gradients by layer, and gains of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.jobs import studies
from app.session import networks, shared
from app.session.networks import Choice, Network
from cnnviz.progress import Ticker

if TYPE_CHECKING:
    from cnnviz.studies.backward.flow import BlockGains, GradientFlow

CIFAR, DIGITS, PHOTOGRAPHS = "cifar10-test", "handwritten", "photographs"
SOURCES = {CIFAR: "CIFAR-10 test set", DIGITS: "handwritten digits", PHOTOGRAPHS: "sample photographs"}


@dataclass(frozen=True, slots=True)
class PassSetting:
    """What a backward pass depends on. `choices`: (name in the legend, network) of each curve; `source`: of the images,
    one of SOURCES; `statistics`: of the batch norms."""

    choices: tuple[tuple[str, Choice], ...]
    source: str
    statistics: str

    @property
    def key(self) -> tuple[str, ...]:
        """Names the setting in caches."""
        return *(choice.key for _, choice in self.choices), self.source, self.statistics

    def networks(self) -> list[Network]:
        """Load them, once for all sessions. Raises CnnvizError."""
        return [networks.load(choice) for _, choice in self.choices]


def offered_sources() -> list[str]:
    """The images that need no download."""
    return [CIFAR, DIGITS, PHOTOGRAPHS] if shared.is_here(CIFAR) else [DIGITS, PHOTOGRAPHS]


def flows(setting: PassSetting) -> list[GradientFlow] | None:
    """Gradients by layer of every network; None while they are computed beside the page."""

    def make(progress: Any = None) -> list[GradientFlow]:
        from cnnviz.studies.backward.flow import gradient_flow
        from cnnviz.studies.backward.labelled_batch import labelled_batch

        ticker, found = Ticker(len(setting.choices), progress), []
        for network in setting.networks():
            batch, labels = labelled_batch(network.model, setting.source)
            found.append(gradient_flow(network.model, batch, labels, setting.statistics))
            ticker.tick("networks")
        return found

    return studies.result("backward", ("gradient flow", *setting.key), "Gradients of every layer", make)


def gains(setting: PassSetting) -> list[BlockGains] | None:
    """What the blocks of every network do to the gradient; None while it is computed beside the page."""

    def make(progress: Any = None) -> list[BlockGains]:
        from cnnviz.studies.backward.flow import block_gains
        from cnnviz.studies.backward.labelled_batch import labelled_batch

        ticker, found = Ticker(len(setting.choices), progress), []
        for network in setting.networks():
            batch, labels = labelled_batch(network.model, setting.source)
            found.append(block_gains(network.model, batch, labels, setting.statistics))
            ticker.tick("networks")
        return found

    return studies.result("backward", ("block gains", *setting.key), "Gains of every block", make)
