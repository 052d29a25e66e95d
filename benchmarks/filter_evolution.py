"""How near each layer is to its final filters, epoch by epoch: `python -m benchmarks.filter_evolution [RUN …]`.

RUN: names of recorded trainings, as the page Training lists them; by default those that come with cnnviz and kept
weights on the way. Prints the mean cosine of the first layer, of the nearer and of the deeper half of the others, and
what the cosines show; with `--layers` those of every layer."""

import argparse

import numpy as np

from cnnviz.models.runs.moment import describe_moment
from cnnviz.studies.learning.convergence import describe_convergence, find_layer_order, measure_convergence
from cnnviz.training.record.bundled_runs import bundled_runs
from cnnviz.training.record.result import RecordedRun, find_run, read_run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--layers", action="store_true", help="every layer, not only groups")
    options = parser.parse_args()
    known = {run.name: run for run in bundled_runs()}
    chosen = options.runs or [name for name, run in known.items() if len(run.snapshots) > 1]
    for name in chosen:
        report(known[name] if name in known else read_run(find_run(name), name), options.layers)


def report(run: RecordedRun, every: bool) -> None:
    """Print the table of one run."""
    found = measure_convergence(run.snapshots, find_layer_order(run))
    print(f"\n{run.name}, {len(found.layers)} layers")
    groups = dict(zip(found.layers, found.mean.T, strict=True))
    if not every:
        near, deep = np.array_split(found.mean[:, 1:], 2, axis=1)
        groups = {found.layers[0]: found.mean[:, 0], "nearer half": near.mean(1), "deeper half": deep.mean(1)}
        groups["last"] = found.mean[:, -1]
    wide = max(map(len, groups))
    names = [describe_moment(step, run.epoch_at.get(step)) for step in found.steps.tolist()]
    print(" " * wide, *(name.replace("before training", "start").rjust(9) for name in names))
    for layer, values in groups.items():
        print(layer.ljust(wide), *(f"{value:9.2f}" for value in values))
    for line in describe_convergence(found, lambda step: describe_moment(step, run.epoch_at.get(step))):
        print(line)


if __name__ == "__main__":
    main()
