"""What tests of the app look at: a page's messages and clickable pictures; networks that are out of the ordinary."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from torch import nn

from app.jobs import background

PICKERS = {"net": "net_cards", "image": "image_cards", "layer": "layer_strip"}  # in the bar: {choice: component}
HOME = Path(__file__).resolve().parents[2] / "app" / "Home.py"


def turned(at: AppTest, page: str) -> AppTest:
    """The same visitor on another page."""
    return at.switch_page(f"../pages/{page}.py").run()


def errors(at: AppTest) -> list[str]:
    """Messages of the page; none may be an exception."""
    assert not at.exception, [e.value for e in at.exception]
    return [e.value for e in at.error]


def _components(at: AppTest) -> dict[str, dict[str, Any]]:
    return {shown.key: json.loads(shown.proto.json) for shown in at.get("bidi_component") if shown.proto.json}


def pictures(at: AppTest) -> dict[str, dict[str, Any]]:
    """{key: data} of the clickable pictures, and of what else is neither a widget nor a picker of cards."""
    return {key: data for key, data in _components(at).items() if not key.endswith("_cards")}


def choose(at: AppTest, key: str, value: str) -> AppTest:
    """Choose in the picker `key` of the bar, or type a new name, as the browser does it."""
    assert PICKERS[key] in _components(at), f"there is no picker of {key}"
    at.session_state[key] = value
    return at.run()


def chosen(at: AppTest, key: str) -> str:
    """The value that a picker of the bar shows."""
    return _components(at)[PICKERS[key]]["chosen"]


def cards(at: AppTest, key: str) -> dict[str, dict[str, Any]]:
    """{value: what its card says} of a picker, in its order."""
    return {card["value"]: card for card in _components(at)[PICKERS[key]]["cards"]}


def offered(at: AppTest, key: str) -> list[str]:
    """The values that a picker of cards offers."""
    return list(cards(at, key))


def image_of(picture: dict[str, Any]) -> Image.Image:
    """What a clickable picture shows."""
    return Image.open(io.BytesIO(base64.b64decode(picture["src"].partition(",")[2])))


def tile_of(wall: dict[str, Any], item: int) -> np.ndarray:
    """The pixels of an item's tile in a wall as they are sent: levels (h, w), or colours (h, w, 3); cells that a tile
    consists of lie side by side."""
    sheet, place = np.asarray(image_of(wall)), wall["items"].index(item)
    high, wide = (n * size for n, size in zip(wall["cells"], wall["tile"], strict=True))
    row, column = divmod(place, wall["columns"])
    return sheet[row * high : (row + 1) * high, column * wide : (column + 1) * wide]


def traces(picture: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines and bars of a Plotly figure, arrays as lists."""
    found = json.loads(picture["figure"])["data"]
    return [{name: _listed(value) for name, value in trace.items()} for trace in found]


def _listed(value: Any) -> Any:
    """Plotly writes longer arrays as base64."""
    if isinstance(value, dict) and "bdata" in value:
        return np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).tolist()
    return value


def frame(picture: dict[str, Any]) -> tuple[float, float, float, float]:
    """(left, top, width, height) of a picture's only box."""
    (box,) = picture["boxes"]
    return box["x"], box["y"], box["width"], box["height"]


def stop_jobs() -> None:
    """Cancel every job and wait for its thread."""
    running, _lock = background._registry()
    for job in running.values():
        job.stop()
        job._thread.join(60)


class Failing(nn.Module):
    """(N, 3, 16, 16) → never: its second layer expects another number of channels."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3)
        self.body = nn.Conv2d(7, num_classes, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self.stem(x)).mean((2, 3))


class FourChannels(nn.Sequential):
    """(N, 4, 16, 16) → logits; the first layer takes four channels, e.g. RGB and near infrared."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(4, 6, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(6, 5, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, num_classes),
        )


def entered(page: str = "home", **query: str) -> AppTest:
    """Somebody whose browser has said that it holds no token."""
    at = AppTest.from_file(str(HOME), default_timeout=90)
    at.session_state["class_joined"] = True
    at.query_params.update(query if page == "home" else {"weights": "file-gone"})
    at.run()
    if page == "home":
        return at
    at.query_params.clear()
    at.query_params.update(query)
    return turned(at, page)
