"""Put a finished run of `cnnviz train` among the trainings that come with cnnviz: weights and recipe into
assets/weights, what was recorded of it into assets/runs.

    python -m benchmarks.bundle_training runs/lenet5_tanh mnist
    python -m benchmarks.bundle_training runs/nin cifar10 --as nin_cifar10

The images that the run asked its network about stay where they are: they belong to the data set. `--as` is for the
training of a variant whose weights are those of the network itself, as with less dropout; what was trained stays in the
recipe as "trained_as"."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save

from cnnviz.models.bundled import assets
from cnnviz.models.recognise.shapes import sized_shapes
from cnnviz.models.runs.files import EPOCHS, FILTERS, LAYERS, RUN, SNAPSHOTS, STEPS


def main() -> None:
    options = _parser().parse_args()
    weights = sorted(options.run.glob("*.safetensors"))
    if len(weights) != 1:
        raise SystemExit(f"{options.run} holds {len(weights)} files of weights; a finished run holds one.")
    notes = json.loads(weights[0].with_suffix(".json").read_text(encoding="utf-8"))
    name = options.name or notes["architecture"]
    tensors = load_file(weights[0])
    if {key: tuple(tensor.shape) for key, tensor in tensors.items()} != sized_shapes(name, len(notes["classes"])):
        raise SystemExit(f"{weights[0]} holds other tensors than {name} has.")
    target = assets() / "weights" / f"{name}-{options.data}.json"
    told = _rename(notes, name)
    _write(target, told)
    told.pop("history")
    target.with_suffix(".safetensors").write_bytes(save(tensors, {"cnnviz": json.dumps(told)}))
    to = assets() / "runs" / name
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    _write(to / RUN, _rename(json.loads((options.run / RUN).read_text(encoding="utf-8")), name))
    for file in (STEPS, LAYERS, EPOCHS):
        shutil.copyfile(options.run / file, to / file)
    for folder in (FILTERS, SNAPSHOTS):
        shutil.copytree(options.run / folder, to / folder)
    size = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
    print(f"{name}: {size / 1e6:.1f} MB in {to}")


def _rename(notes: dict[str, Any], name: str) -> dict[str, Any]:
    """The notes as those of the network `name`, with the variant that was trained where it is another."""
    trained = {} if notes["architecture"] == name else {"trained_as": notes["architecture"]}
    return {**notes, "architecture": name, **trained}


def _write(file: Path, notes: dict[str, Any]) -> None:
    file.write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run, --out of `cnnviz train`")
    parser.add_argument("data", help='what the file is called by, e.g. "mnist"')
    parser.add_argument("--as", dest="name", help="the network whose weights they are; otherwise that of the run")
    return parser


if __name__ == "__main__":
    main()
