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
    return _measure(setting, "gradient_flow", "Gradients of every layer")


def gains(setting: PassSetting) -> list[BlockGains] | None:
    """What the blocks of every network do to the gradient; None while it is computed beside the page."""
    return _measure(setting, "block_gains", "Gains of every block")


def _measure(setting: PassSetting, study: str, words: str) -> Any:
    """What `study`, a function of `cnnviz.studies.backward.flow`, finds for every network."""

    def make(progress: Any = None) -> list[Any]:
        from cnnviz.studies.backward import flow
        from cnnviz.studies.backward.labelled_batch import labelled_batch

        ticker, found = Ticker(len(setting.choices), progress), []
        for network in setting.networks():
            batch, labels = labelled_batch(network.model, setting.source)
            found.append(getattr(flow, study)(network.model, batch, labels, setting.statistics))
            ticker.tick("networks")
        return found

    return studies.result("backward", (study, *setting.key), words, make)
