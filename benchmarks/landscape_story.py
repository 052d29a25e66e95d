"""What shortcuts do to a network, in numbers: accuracy of each trained pair, and how far its slices are from convex.

Weights and surfaces are the bundled ones. Non-convexity: the share of the points with a loss of at most 10 nats where
the loss curves downwards along some direction of the slice by more than two standard errors, over differences of two
grid steps (0.08 filter norms), which bfloat16 resolves: on the whole slice, within half a filter norm of its centre,
and how far from the centre the nearest such point lies; one number a direction pair."""

import json

import numpy as np

from benchmarks.bundle_landscapes import load_surfaces
from cnnviz.landscape.geometry.convexity import nonconvexity
from cnnviz.landscape.results import Surface
from cnnviz.models.bundled import bundled

PAIRS = (("resnet20_cifar", "plain20_cifar"), ("resnet56_cifar", "plain56_cifar"))
NEAR = 0.5  # filter norms from the centre
# Test error, %: He et al. 2016, table 6; Li et al. 2018, table 1 (300 epochs).
PUBLISHED = {
    "resnet20_cifar": "8.75 and 7.37",
    "plain20_cifar": "8.18",
    "resnet56_cifar": "6.97 and 5.89",
    "plain56_cifar": "13.31",
}


def main() -> None:
    """Print what each network reached and a line a direction pair."""
    for pair in PAIRS:
        for name in pair:
            if name not in bundled():
                print(f"{name}: no bundled weights")
                continue
            recipe = json.loads(bundled()[name].with_suffix(".json").read_text(encoding="utf-8"))
            accuracy, published = recipe["accuracy"], PUBLISHED[name]
            print(
                f"{name}: {recipe['recipe']['epochs']} epochs, training {accuracy['train']:.2%},"
                f" test {accuracy['test']:.2%} of {accuracy['test_images']:,}"
                f" (published test errors: {published} %)"
            )
            for surface in load_surfaces(name):
                print(f"  seed {surface.meta['seed']}: {describe(surface)}")


def describe(surface: Surface) -> str:
    """Its non-convexity and its heights."""
    bent, of_log = (nonconvexity(surface, log=log) for log in (False, True))
    near = np.hypot(surface.alphas[:, None], surface.betas) <= NEAR
    counted = near & np.isfinite(bent.smallest)
    return (
        f"{bent.share:.1%} of {bent.counted:,} points curve down, {bent.negative[counted].mean():.1%} within {NEAR} of "
        f"the centre, the nearest at {bent.nearest:.2f}; of log loss {of_log.share:.1%}; loss {surface.loss.min():.3f} "
        f"to {surface.loss.max():.3g}, {(surface.loss > 10).mean():.0%} above 10"
    )


if __name__ == "__main__":
    main()
