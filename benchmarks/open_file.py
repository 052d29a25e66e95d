"""How long opening a weights file takes, evidence included: read, recognised or rebuilt, measured, filled.

python benchmarks/open_file.py FILE...        # best of three, after one that imports and builds the catalogue
python benchmarks/open_file.py                # files that are made here, of several kinds
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

import cnnviz
from cnnviz.errors import CnnvizError
from cnnviz.models.load import load

MADE = (  # networks under five million parameters, twins and chains
    "resnet20_cifar",
    "resnet56_cifar",
    "resnet110_cifar",
    "lenet5",
    "mobilenet_v2",
    "squeezenet1_0",
    "chain:1x28x28-conv32k3p1-relu-max2-conv64k3p1-relu-max2-conv128k3p1-relu-max2-flatten-linear256-relu-linear10",
)


def make_files(folder: Path) -> list[Path]:
    """A file of each network of MADE, with statistics of one pass."""
    files = []
    for number, name in enumerate(MADE):
        network = cnnviz.build(name)
        network(torch.rand(4, *cnnviz.load(name, "random", device="cpu").input_size))
        files.append(folder / f"{number}-{name.partition(':')[0]}.pth")
        torch.save(network.state_dict(), files[-1])
    return files


def time_opening(path: Path) -> tuple[float, str]:
    """(seconds, the network) of the best of three."""
    seconds, name = [], ""
    for _ in range(3):
        start = time.perf_counter()
        try:
            name = load(weights=path, device="cpu").name
        except CnnvizError as error:
            name = f"refused: {str(error)[:60]}"
        seconds.append(time.perf_counter() - start)
    return min(seconds), name


def main() -> None:
    """Print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    with tempfile.TemporaryDirectory() as folder:
        files = parser.parse_args().files or make_files(Path(folder))
        time_opening(files[0])
        for path in files:
            seconds, name = time_opening(path)
            print(f"{seconds:6.2f} s  {path.name:32} {name[:90]}")


if __name__ == "__main__":
    main()
