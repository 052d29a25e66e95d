"""torchvision as everything here imports it, so that two threads may ask for it in the same moment.

torchvision reaches into `torch._dynamo` past that package's own beginning, and PyTorch imports the package when a
tensor mode is first used. Where one thread is within it and another comes in by the side door, Python hands out half
a module, and both imports fail. Here each comes in by the front door and waits for the one before."""

import torch._dynamo  # noqa: F401  first, see above
import torchvision
from torchvision import models

version: str = torchvision.__version__

__all__ = ["models", "version"]
