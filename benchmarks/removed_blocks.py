"""Measure what bundled networks keep of their answers without each block; writes assets/studies/removed-blocks.json.

python benchmarks/removed_blocks.py"""

import numpy as np

import cnnviz
from cnnviz.models.bundled import assets
from cnnviz.studies.noise.blocks import remove_each
from cnnviz.studies.noise.recorded import FILE, write_removed

NETWORKS = ("resnet20_cifar", "plain20_cifar", "resnet56_cifar", "plain56_cifar")
IMAGES = 64  # the first of the corpus "samples", as on the page


def main() -> None:
    corpus = cnnviz.corpus("samples")
    images = [corpus.image(number) for number in range(IMAGES)]
    found = {}
    for name in NETWORKS:
        model = cnnviz.load(name, "bundled", "cpu")
        one = remove_each(model, images)
        found[model.fingerprint] = (name, one)
        low, middle, high = (float(f(one.kept)) for f in (np.nanmin, np.nanmedian, np.nanmax))
        print(f"{name}: {low:.3f} to {high:.3f}, median {middle:.3f} of {IMAGES} answers kept")
    write_removed(found, assets() / "studies" / FILE)


if __name__ == "__main__":
    main()
