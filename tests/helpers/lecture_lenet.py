"""The LeNet of lecture slides, as a student types it: `view` to flatten, functions for ReLU and pooling, no number of
classes to give."""

from pathlib import Path

import numpy as np
from PIL import Image

_SLIDE = """
import torch.nn as nn
import torch.nn.functional as F
import cnnviz


@cnnviz.register("{name}", input_size=({channels}, 32, 32))
class LeNet(nn.Module):
    def __init__(self):
        super(LeNet, self).__init__()
        self.conv1 = nn.Conv2d({channels}, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, 16 * 5 * 5)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        return x
"""


def write_slide(folder: Path, channels: int) -> tuple[str, Path]:
    """(name, file) of the slide's network for images of so many channels, as a plugin."""
    name, file = f"slide{channels}", folder / f"slide{channels}.py"
    file.write_text(_SLIDE.format(name=name, channels=channels), encoding="utf-8")
    return name, file


def write_classes(folder: Path, classes: int, each: int = 4) -> Path:
    """`folder`/<class>/<number>.png: 32×32 pixels, of a colour and brightness that tell the class."""
    rng = np.random.default_rng(0)
    for label in range(classes):
        place = folder / f"class {label}"
        place.mkdir(parents=True, exist_ok=True)
        for number in range(each):
            pixels = rng.integers(0, 60, (32, 32, 3)) + 19 * label
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
    return folder
