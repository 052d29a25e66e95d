"""Small networks for planes in weight space, and the slow way to evaluate a point: a plain float32 network
whose weights are loaded."""

import copy
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from nets import Functional, images, tiny
from torch import Tensor, nn

from cnnviz.landscape.results import Measured
from cnnviz.models.model import LoadedModel

IMAGES, LABELS = images(20, seed=3), torch.arange(20) % 3


def settled(module: nn.Module) -> nn.Module:
    """With statistics and factors of batch normalisation that are not those of the beginning."""
    generator = torch.Generator().manual_seed(1)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d) and child.track_running_stats:
            child.running_mean.normal_(generator=generator)
            child.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.normal_(child.weight, 1, 0.3, generator=generator)
            nn.init.normal_(child.bias, 0, 0.3, generator=generator)
    return module


def residual(seed: int = 0) -> LoadedModel:
    """Convolutions, each with batch normalisation, a shortcut, in-place rectifiers and a classifier of 3."""
    torch.manual_seed(seed)
    net = Functional(
        lambda n, x: (
            n.fc(n.last(n.bn3(n.c(n.relu(n.bn2(n.b(y))))) + y).mean((2, 3)))
            if (y := n.first(n.bn1(n.a(x)))) is not None
            else None
        ),
        a=nn.Conv2d(3, 6, 3, padding=1, bias=False),
        bn1=nn.BatchNorm2d(6),
        first=nn.ReLU(),
        b=nn.Conv2d(6, 6, 3, padding=1),
        bn2=nn.BatchNorm2d(6),
        relu=nn.ReLU(inplace=True),
        c=nn.Conv2d(6, 6, 3, padding=1, bias=False),
        bn3=nn.BatchNorm2d(6),
        last=nn.ReLU(inplace=True),
        fc=nn.Linear(6, 3),
    )
    return tiny(settled(net))


def plain(seed: int = 0) -> LoadedModel:
    """Without batch normalisation."""
    torch.manual_seed(seed)
    return tiny(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)))


def slowly(model: LoadedModel, moves: list[tuple[float, dict[str, Tensor]]], pixels=IMAGES, labels=LABELS) -> Measured:
    """Weights + Σ step × direction, loaded into a copy, one image at a time, summed in float64."""
    module = copy.deepcopy(model.module).float().to(memory_format=torch.contiguous_format).eval()
    state = module.state_dict()
    for step, direction in moves:
        state = {name: state[name] + step * direction[name] if name in direction else state[name] for name in state}
    module.load_state_dict(state)
    with torch.no_grad():
        rows = [module(image[None]) for image in pixels]
    losses = [F.cross_entropy(row, label[None]).double().item() for row, label in zip(rows, labels, strict=True)]
    right = [float(row.argmax() == label) for row, label in zip(rows, labels, strict=True)]
    root = np.sqrt(len(losses))
    return Measured(np.mean(losses), np.mean(right), np.std(losses, ddof=1) / root, np.std(right, ddof=1) / root)


def state_of(model: LoadedModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


def assert_untouched(model: LoadedModel, before: dict[str, Tensor]) -> None:
    after = model.module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not model.module.training and not any(p.requires_grad for p in model.module.parameters())


if __name__ == "__main__":  # planenets.py OUT THREADS SECONDS STEPS: a surface that takes its time, to be killed
    from cnnviz.distributed import is_launched
    from cnnviz.errors import CnnvizError
    from cnnviz.landscape.plane.distributed import surface_on_ranks
    from cnnviz.landscape.plane.surface import loss_surface

    torch.set_num_threads(int(sys.argv[2]))

    def slow(state: object) -> None:
        time.sleep(float(sys.argv[3]))
        print(f"done {state.done} of {state.total}", flush=True)

    compute = surface_on_ranks if is_launched() else loss_surface
    try:
        found = compute(
            residual(),
            IMAGES,
            LABELS,
            int(sys.argv[4]),
            precision="float32",
            batch=8,
            out=Path(sys.argv[1]),
            progress=slow,
        )
    except CnnvizError as error:
        sys.exit(f"cnnviz: {error}")
    print("surface" if found else "no surface", flush=True)
