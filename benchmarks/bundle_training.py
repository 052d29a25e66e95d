"""Put a finished run of `cnnviz train` among the trainings that come with cnnviz: weights and recipe into
assets/weights, what was recorded of it into assets/runs.

    python -m benchmarks.bundle_training runs/lenet5_tanh mnist

The images that the run asked its network about stay where they are: they belong to the data set."""

import argparse
import shutil
from pathlib import Path

from cnnviz.models.bundled import assets
from cnnviz.models.runs.files import EPOCHS, FILTERS, LAYERS, RUN, SNAPSHOTS, STEPS


def main() -> None:
    options = _parser().parse_args()
    weights = sorted(options.run.glob("*.safetensors"))
    if len(weights) != 1:
        raise SystemExit(f"{options.run} holds {len(weights)} files of weights; a finished run holds one.")
    name = weights[0].stem.partition("-")[0]
    for kind in (".safetensors", ".json"):
        shutil.copyfile(weights[0].with_suffix(kind), assets() / "weights" / f"{name}-{options.data}{kind}")
    to = assets() / "runs" / name
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for file in (RUN, STEPS, LAYERS, EPOCHS):
        shutil.copyfile(options.run / file, to / file)
    for folder in (FILTERS, SNAPSHOTS):
        shutil.copytree(options.run / folder, to / folder)
    size = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
    print(f"{name}: {size / 1e6:.1f} MB in {to}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run, --out of `cnnviz train`")
    parser.add_argument("data", help='what the file is called by, e.g. "mnist"')
    return parser


if __name__ == "__main__":
    main()
