"""The view of augmentation: the image in many versions, means over crops and scales, and the image turned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from app.components.drawing import drawing
from app.components.picture import labelled_picture
from app.components.plots import plot
from app.markdown import as_literal, escape_markdown
from app.pickers import controls
from app.session.networks import Network
from app.views.noise import results
from app.views.noise.dropout import pick_seed, shared_names
from cnnviz.errors import BadInput
from cnnviz.figures.base.charts import share_text
from cnnviz.figures.noise import charts
from cnnviz.figures.noise.answers import answers_scene
from cnnviz.figures.noise.masks import ImageVersion, versions_strip

KINDS = ("shift", "rotation", "stretch", "shear", "flip or turn", "crop", "change of colour")
GALLERY, AVERAGES, TURNS = "Gallery", "Crops and scales", "Turns"


def view(network: Network, image: str, row: Any) -> None:
    """One of three pictures of augmentation."""
    names = shared_names(network)
    with row:
        show = controls.bind(st.selectbox, "Show", "augment", GALLERY, options=[GALLERY, AVERAGES, TURNS], width=160)
    seed = pick_seed(row) if show == GALLERY else 0
    best = int(results.without(network, image, ()).argmax())
    with row:
        right = controls.bind(
            st.selectbox,
            "Right answer",
            "label",
            names[best],
            options=names,
            width=150,
            help="As long as nobody says it, the answer to the image as it is counts as right.",
        )
    label = names.index(right)
    if show == GALLERY:
        _gallery(network, image, seed, label)
    elif show == AVERAGES:
        _averages(network, image, label)
    else:
        _turns(network, image, label)


def _show(versions: Sequence[Any], names: list[str], label: int, columns: int = 0, side: int = 104) -> Any:
    shown = [
        ImageVersion(
            one.name,
            one.pixels,
            f"{names[one.answer]} {100 * one.probabilities[one.answer]:.0f} %",
            one.answer == label,
        )
        for one in versions
    ]
    return versions_strip(shown, side, columns)


def _gallery(network: Network, image: str, seed: int, label: int) -> None:
    found = results.versions("gallery", network, image, seed)
    if found is None:
        return
    names = shared_names(network)
    columns = st.columns(2, gap="medium")
    for number, kind in enumerate(KINDS):
        with columns[number % 2]:
            part = [one for one in found if one.kind == kind]
            labelled_picture(_show(part, names, label), f"The image, {kind}", f"gallery_{number}")
    with columns[1]:
        labelled_picture(_show(found[:1], names, label), "The image as it is", "gallery_whole")
    right = {kind: sum(one.answer == label for one in found if one.kind == kind) for kind in KINDS}
    st.write(
        "What training may show in place of the image, and what the network answers (green: right). Crops are drawn at "
        f"random, from the seed. **Notice** what it takes as the same: {_list_kinds(right, as_literal(names[label]))}. "
        "Networks for CIFAR-10 are trained on shifted crops and mirror images alone."
    )
    _explained()


def _list_kinds(right: dict[str, int], answer: str) -> str:
    """Which kinds of change keep the answer always, and which do not."""
    kept = [kind for kind, many in right.items() if many == 4]
    lost = [f"{kind} ({many} of 4)" for kind, many in right.items() if many < 4]
    parts = [f"{answer} after every {', '.join(kept)}"] if kept else []
    parts += [f"not always after {', '.join(lost)}"] if lost else []
    return "; ".join(parts)


def _averages(network: Network, image: str, label: int) -> None:
    from cnnviz.studies.noise.augmentation import mean_answer

    names = shared_names(network)
    crops, scales, refused = results.versions("ten", network, image), None, ""
    try:
        scales = results.versions("scales", network, image)
    except BadInput as error:
        refused = str(error)
    if crops is None:
        return
    left, right = st.columns([1.35, 1], gap="medium")
    with left:
        labelled_picture(_show(crops, names, label, 5, 96), "Ten crops", "ten_crops")
        if scales is not None:
            labelled_picture(_show(scales, names, label, 5, 96), "The image at several sizes", "scales")
        if refused:
            st.caption(escape_markdown(refused))
    rows = [("one crop", crops[4].probabilities), ("ten crops", mean_answer(crops))]
    if scales is not None:
        rows.append((f"{len(scales)} scales", mean_answer(scales)))
    with right:
        drawing([answers_scene(rows, names)], ["Answers of one crop, ten crops and scales"], "averages", least=0.7)
        st.write(
            "In training one crop is drawn at random; in evaluation the answers to fixed ones are averaged: four "
            "corners and the middle, each mirrored too; or the whole image at several sizes. **Notice** how single "
            f"crops waver and the mean does not: {_waver(crops, label)}. A gain of a point or two over a test set "
            "costs ten times the work."
        )
    _explained()


def _waver(crops: Sequence[Any], label: int) -> str:
    shares = np.array([one.probabilities[label] for one in crops])
    low, high, mean = (share_text(float(value)) for value in (shares.min(), shares.max(), shares.mean()))
    return f"the right class gets {low} to {high}, {mean} on average"


def _turns(network: Network, image: str, label: int) -> None:
    found = results.turns(network, image)
    if found is None:
        return
    names = shared_names(network)
    left, right = st.columns([1, 1.1], gap="medium")
    with left:
        labelled_picture(_show(found.quarters, names, label, 3, 120), "The image turned and mirrored", "quarters")
    with right:
        figure = charts.turns_figure(found.degrees, found.probabilities, names, label)
        plot(figure, "Answers over the angle", "turns", "invariance-by-examples")
    told = [
        f"{one.name}: {as_literal(names[one.answer])} {100 * one.probabilities[one.answer]:.0f} %"
        for one in found.quarters
    ]
    st.write(
        f"{'; '.join(told)}. **Notice** that the mirrored image is answered like the image, which a network trained "
        "with flips has seen in examples, and that a turn is not. Nothing in a convolution makes it invariant to "
        "either: augmentation teaches by examples, and guarantees nothing."
    )
    _explained()


def _explained() -> None:
    with st.expander("What is done, and source"):
        st.write(
            "All of it is done to what the network receives. Shift: an eighth of the side. Stretch, rotation and shear "
            "about the middle, bilinear; what comes in has the mean colour. Crop: from the photograph scaled to the "
            "short side of the preprocessing (224 of 256 on ImageNet; AlexNet's networks take 227 of 256), else from "
            "the image padded by an eighth (4 of 32 pixels on CIFAR). Scales: 224, 256, 384, 480 and 640 pixels for a "
            "network of 224, others in proportion; a network that flattens its last map takes one size only. Averages "
            "are of probabilities. AlexNet also moves the colours along their principal components, which is not "
            "drawn. Sources: Krizhevsky et al., NIPS 2012, section 4.1; He et al., CVPR 2016, sections 3.4 and 4.2."
        )
