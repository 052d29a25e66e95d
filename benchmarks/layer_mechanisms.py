"""What training does to layers, in figures: `python -m benchmarks.layer_mechanisms DATA`.

DATA: CIFAR-10, as for `cnnviz train`. Gradient over weight norm in the first and the last layer of initial networks, by
the statistics of a batch of 32 test images; how often batch norm's company changes the answer to a photograph; memory
that a batch keeps; what is kept without a block; answers to a turned photograph."""

import argparse

import numpy as np
import torch

import cnnviz
from cnnviz.data.labelled import load_labelled
from cnnviz.data.samples import sample_photo
from cnnviz.studies.backward.flow import block_gains, gradient_flow
from cnnviz.studies.noise.augmentation import turn_image
from cnnviz.studies.noise.recorded import read_removed
from cnnviz.studies.normalisation.company import company_spread
from cnnviz.studies.normalisation.memory import activation_memory

IMAGES = 32
COMPANIONS = (1, 3, 7, 15, 31)
GRADIENTS = (
    *(f"{kind}{depth}_cifar" for depth in (20, 56, 110) for kind in ("plain", "resnet")),
    "variant:plain20_cifar.sigmoid.nonorm",
    "variant:plain20_cifar.sigmoid",
    "variant:plain56_cifar.nonorm",
    "variant:resnet56_cifar.nonorm",
)
TRAINED = ("resnet20_cifar", "resnet56_cifar", "plain20_cifar", "plain56_cifar")


def main() -> None:
    """Measure, and print a line a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    options = parser.parse_args()
    for name in GRADIENTS:
        model = cnnviz.load(name, "random", device="cpu")
        found = load_labelled(options.data, "test", model.preprocessing, lazy=True)
        rows = np.arange(IMAGES) * len(found) // IMAGES
        batch = model.normalise(torch.from_numpy(found.batch(rows)))
        labels = torch.from_numpy(np.asarray(found.labels)[rows].astype("int64"))
        flow = gradient_flow(model, batch, labels, "batch")
        first, last = flow.relative[0], flow.relative[-1]
        print(f"{name}: gradient over weights {first:.2g} in the first layer, {last:.2g} in the last")
        if name in ("plain56_cifar", "resnet56_cifar"):
            gains = block_gains(model, batch, labels, "batch")
            print(f"{name}: a block multiplies by {np.median(gains.total):.2g}, all by {gains.product[0]:.2g}")
    photo = sample_photo("chelsea")
    samples = cnnviz.corpus("samples")
    for name in TRAINED:
        model = cnnviz.load(name, "bundled", device="cpu")
        kept = read_removed(model)
        if kept is not None:
            parts = [f"{100 * part:.0f}" for part in np.nanquantile(kept.kept, (0, 0.5, 1))]
            print(f"{name}: answers kept without a block, lowest, median and highest {', '.join(parts)} %")
        memory = activation_memory(model, model.receive(photo))
        print(f"{name}: one image keeps {memory.per_image.sum() / 1e6:.2f} MB for the gradients")
    model = cnnviz.load("resnet20_cifar", "bundled", device="cpu")
    pool = [at for at, name in enumerate(samples.ids[:64]) if name.partition("/")[0] != "chelsea"]  # as on the page
    received = [model.receive(photo), *(model.received_from(samples, at) for at in pool)]
    spread = company_spread(model, received, COMPANIONS)
    for count, share in zip(spread.companions, spread.changed, strict=True):
        print(f"resnet20_cifar: another class wins in {100 * share:.0f} % of draws of {count} companions")
    turned = turn_image(model, photo, 90)
    answers = [(one.name, one.answer, float(one.probabilities.max())) for one in turned.quarters]
    words = ", ".join(f"{name}: {model.class_names[answer]} {share:.0%}" for name, answer, share in answers)
    print(f"resnet20_cifar, the cat turned: {words}")


if __name__ == "__main__":
    main()
