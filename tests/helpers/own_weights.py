"""The form about one's own weights, driven as a visitor would; weights files to drop."""

import io

import torch
from streamlit.testing.v1 import AppTest

from cnnviz.models.catalogue import registry

FILE = "own_weights_file"


def saved(state: dict, **extra) -> bytes:
    """What torch.save writes for a state_dict, with metadata beside it."""
    file = io.BytesIO()
    torch.save({"state_dict": state, **extra} if extra else state, file)
    return file.getvalue()


def lenet(classes: int = 10, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    return registry.build("lenet5", classes).state_dict()


def dropped(at: AppTest, data: bytes, name: str = "mine.pth") -> AppTest:
    return at.file_uploader(key=FILE).upload(name, data).run()


def take(at: AppTest) -> AppTest:
    return at.button(key="own_use").click().run()
