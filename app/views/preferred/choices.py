"""How preferred inputs are made: what is maximised, the image's parameters, and the random start; all in the URL."""

from __future__ import annotations

import os

import streamlit as st

from app.url import address
from app.url.address import bind
from app.views.microscope.look import Look
from cnnviz.synthesis.settings import SynthesisSettings

MIDDLE, THIS, MEAN = "middle unit", "this unit", "whole map"
OBJECTIVES = (MIDDLE, THIS, MEAN)
OF_ALL = (MIDDLE, MEAN)  # the channels of a layer alike
IMAGES = {"free": "fourier", "natural": "maco"}
SEEDS = 999
MOST_STEPS = 4096


def pick(objectives: tuple[str, ...] = OBJECTIVES, seed_alone: bool = False) -> None:
    """The controls. `objectives`: what can be maximised, none of a class; `seed_alone`: the view has no room for
    others."""
    if not seed_alone:
        _pick_making(objectives)
    bind(st.number_input, "Seed", "start", 0, min_value=0, max_value=SEEDS, step=1, width=92)


def _pick_making(objectives: tuple[str, ...]) -> None:
    if objectives:
        bind(st.selectbox, "Maximised", "maximised", MIDDLE, options=list(objectives), width=140)
    bind(st.selectbox, "Amplitudes", "amplitudes", "free", options=list(IMAGES), width=112)


def settings_of(look: Look | None, copies: int = 1, objectives: tuple[str, ...] = OBJECTIVES) -> SynthesisSettings:
    """As the URL has them, also on pages without the controls. `look`: None of a class, of which the logit is
    maximised."""
    asked = address.read("maximised") if look is not None else MIDDLE
    asked = asked if asked in objectives else MIDDLE
    unit = (look.row, look.col) if look is not None and asked == THIS else None
    return SynthesisSettings(
        steps=read_steps(),
        seed=read_seed(),
        objective="channel" if asked == MEAN else "unit",
        unit=unit,
        copies=copies,
        parameterisation=IMAGES.get(address.read("amplitudes"), "fourier"),
    )


def read_steps() -> int:
    """Of each preferred input in the app: 256, or what $CNNVIZ_PREFERRED_STEPS says, for a slow computer."""
    own = os.environ.get("CNNVIZ_PREFERRED_STEPS", "")
    return int(own) if own.isascii() and own.isdigit() and 0 < int(own) <= MOST_STEPS else SynthesisSettings().steps


def read_seed() -> int:
    """Of the random start; 0 where the URL has none that there is."""
    seed = address.read("start")
    return int(seed) if seed.isascii() and seed.isdigit() and int(seed) <= SEEDS else 0


def is_peak() -> bool:
    """Whether the value of a unit is maximised, which can be compared with the strongest unit of a corpus."""
    return address.read("maximised") != MEAN
