"""What was measured on a weights file, what was decided by it and what had to be assumed, in sentences."""

from __future__ import annotations

from dataclasses import dataclass

ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measurement on one reading of a file.

    `question`: what it is to tell: "network", "activation and pooling", "normalisation". `candidate`: the reading,
    e.g. "plain20_cifar" or "mean 0.5, std 0.5". `measure`: what was measured, e.g. "accuracy on 300 drawn digits".
    `value`: the number. `text`: the number with its unit."""

    question: str
    candidate: str
    measure: str
    value: float
    text: str

    @property
    def sentence(self) -> str:
        """E.g. "network: plain20_cifar: distance of the kept variances 2.4."."""
        return f"{self.question}: {self.candidate}: {self.measure} {self.text}."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is said of a file. `question`: as in `Evidence`. `answer`: e.g. "resnet56_noshort". `by`: what
    decided it, a phrase, or ASSUMED. `sentence`: to be shown as it is; it says "assumed" where it is."""

    question: str
    answer: str
    by: str
    sentence: str

    @property
    def is_assumed(self) -> bool:
        """True where nothing in the file decided."""
        return self.by == ASSUMED
