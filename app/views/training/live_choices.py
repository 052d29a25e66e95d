"""The choices of a training: network, data and recipe, in the row above the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app import access, limits
from app.jobs import download
from app.pickers import bar
from app.session import networks, shared, tabs, uploads
from app.url import address
from app.url.address import bind
from cnnviz.data.public.handwritten import is_installed
from cnnviz.models.catalogue.plugins import FAMILY
from cnnviz.training.choices import TrainingChoices

NETWORKS = ("lenet5", "mlp", "lenet_cifar", "resnet20_cifar", "plain20_cifar", "nin_cifar10")
SETS = {
    "digits": "Digits, 8×8",
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "imagenette": "Imagenette",
    "flowers": "Flowers-102",
    "folder": "Folder here",
    "upload": "Zip of folders",
}
PUBLISHED = "as published"
_ACTIVATIONS = {PUBLISHED: "", "ReLU": "relu", "tanh": "tanh", "sigmoid": "sigmoid", "leaky ReLU": "leaky"}
_DROPOUT = {PUBLISHED: None, "none": 0, "20 %": 20, "50 %": 50, "80 %": 80}
_PER_CLASS = {"all": 0, "10": 10, "50": 50}
RATES = (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
BATCHES, MOMENTA, DECAYS = (8, 16, 32, 64, 128, 256), (0.0, 0.5, 0.9, 0.99), (0.0, 1e-4, 5e-4, 5e-3, 5e-2)
EPOCHS = (5, 10, 20, 30, 60, 100, 200)
INITIALISATIONS = ("default", "he", "xavier", "normal 0.01", "normal 1", "zero")
_ZIP = "training_zip"  # in the session: the path of the zip that this tab has uploaded last
INSTALL = "They come with scikit-learn. Where cnnviz runs: `pip install scikit-learn`, then start cnnviz again."


def pick(row: Any) -> tuple[TrainingChoices, bool]:
    """The choices, and whether their data is here; where it is not, a question or a field above the picture."""
    usual = TrainingChoices()
    names = [*NETWORKS, *(one.name for one in networks.summaries().values() if one.family == FAMILY)]
    offered = [name for name in SETS if name != "folder" or access.is_on_this_computer()]
    first = usual.data if is_installed() else next((n for n in ("mnist", "cifar10") if shared.is_here(n)), usual.data)
    with row:
        network = bind(
            st.selectbox,
            "Network",
            "train_net",
            usual.network,
            options=names,
            format_func=networks.describe_name,
            width=150,
        )
        data = bind(st.selectbox, "Images", "train_data", first, options=offered, format_func=SETS.get, width=125)
        few = bind(st.selectbox, "Per class", "per_class", "all", options=list(_PER_CLASS), width=80, help=FEW)
        with st.popover("Recipe", icon=":material/tune:", width="content"):
            recipe = _pick_recipe(usual)
    choices = TrainingChoices(network=network, data=data, per_class=_PER_CLASS[few], **recipe)
    found = find_data(data, partial(address.choose, "train_data", "digits"))
    return replace(choices, data=found or data), bool(found)


FEW = "Images of each class: with few of them a network learns its training images by heart, and little beyond."


def _pick_recipe(usual: TrainingChoices) -> dict[str, Any]:
    left, right = st.columns(2)
    choose = partial(bind, st.selectbox)
    with left:
        rate = choose("Learning rate", "lr", usual.lr, options=RATES)
        batch = choose("Batch", "batch_size", usual.batch, options=BATCHES)
        momentum = choose("Momentum", "momentum", usual.momentum, options=MOMENTA)
        decay = choose("Weight decay", "decay", usual.weight_decay, options=DECAYS)
        epochs = choose("Epochs", "train_epochs", usual.epochs, options=EPOCHS)
    with right:
        active = choose("Activation", "activation", PUBLISHED, options=list(_ACTIVATIONS))
        dropout = choose("Dropout", "dropout", PUBLISHED, options=list(_DROPOUT))
        drawn = choose("Initial weights", "init", usual.initialisation, options=INITIALISATIONS)
        bare = bind(st.toggle, "No batch norm", "nonorm", False, help="Without it, where the network has it.")
        augment = bind(st.toggle, "Augmentation", "augment", False, help="Shifted images; photographs mirrored, too.")
    return {
        "lr": rate,
        "batch": batch,
        "momentum": momentum,
        "weight_decay": decay,
        "epochs": epochs,
        "activation": _ACTIVATIONS[active],
        "dropout": _DROPOUT[dropout],
        "initialisation": drawn,
        "norm": not bare,
        "augment": augment,
    }


def find_data(data: str, on_stay: Callable[[], None], stay: str = "Stay with the digits") -> str:
    """What `load_labelled` takes of a choice of SETS; "" while it is missing, with a question or a field above the
    picture. `stay`, `on_stay`: the button beside a download."""
    if data == "digits":
        if not is_installed():
            bar.notices().info(
                f"The handwritten digits are not on this computer. {INSTALL}", icon=":material/download:"
            )
        return data if is_installed() else ""
    with bar.notices():
        if data in ("folder", "upload"):
            return _ask_for_folder() if data == "folder" else _ask_for_zip()
        if not shared.is_here(data):
            wanted = shared.data_download(data)
            download.ask("data", wanted, f"{wanted.title} is not on this computer.", "", stay, on_stay)
            return ""
    return data


def _ask_for_folder() -> str:
    path = str(bind(st.text_input, "Folder of class folders", "train_folder", "", placeholder="/home/me/photographs"))
    if not path:
        st.caption("One folder a class, e.g. cat/1.jpg and dog/1.jpg; or train/cat/1.jpg and test/cat/2.jpg.")
    return str(Path(path).expanduser()) if path else ""


def _ask_for_zip() -> str:
    label, most = "A zip with one folder a class, e.g. cat/1.jpg and dog/1.jpg", limits.zip_mb()
    file = st.file_uploader(label, type="zip", key="training_upload", max_upload_size=most)
    if file is not None:
        tabs.check_room(file, most)
        place = uploads.store_zip(file.getvalue())
        tabs.replace(Path(st.session_state.get(_ZIP, "")).name, place.name)
        st.session_state[_ZIP] = str(place)
    path = st.session_state.get(_ZIP, "")
    if path and not uploads.use(Path(path)):
        st.info(uploads.GONE.format("The uploaded zip is"))
        return ""
    return path
