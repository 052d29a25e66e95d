"""Random small networks of the operations people use, and an independent oracle of what each unit reads."""

import random
from collections.abc import Callable
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.probes.axes import find_record
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import lay_out_output

SIZE = (12, 14)
Step = Callable[[Tensor], Tensor]


class Layer(nn.Module):
    """One step of a random network; `step` may hold modules."""

    def __init__(self, name: str, step: Step, *modules: nn.Module) -> None:
        super().__init__()
        self.name, self.step, self.parts = name, step, nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.step(x)

    def extra_repr(self) -> str:
        return self.name


class Block(nn.Module):
    """Attention over tokens, of the whole map or of windows, as in a transformer."""

    def __init__(self, channels: int, window: int, shift: int, fused: bool) -> None:
        super().__init__()
        self.window, self.shift, self.fused = window, shift, fused
        self.qkv, self.norm = nn.Linear(channels, 3 * channels), nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        s = self.window
        moved = torch.roll(x, (-self.shift, -self.shift), (2, 3)).permute(0, 2, 3, 1)
        tokens = moved.reshape(n, h // s, s, w // s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, s * s, c)
        q, k, v = self.qkv(self.norm(tokens)).chunk(3, -1)
        if self.fused:
            seen = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        else:
            seen = (q @ k.transpose(1, 2)).softmax(-1) @ v
        maps = seen.view(n, h // s, w // s, s, s, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w)
        return x + torch.roll(maps, (self.shift, self.shift), (2, 3))


def _convolve(r: random.Random, x: Tensor) -> Layer:
    c, h, w = x.shape[1:]
    groups = r.choice([g for g in (1, 1, 2, c) if c % g == 0])
    kernel = r.choice([1, 2, 3, (3, 1), (1, 4), 5])
    options = {
        "stride": r.choice([1, 1, 2, (2, 1), 3]),
        "padding": r.choice([0, 1, 2, (0, 2)]),
        "dilation": r.choice([1, 1, 2]),
        "groups": groups,
        "padding_mode": r.choice(["zeros", "zeros", "reflect", "replicate", "circular"]),
    }
    return _module(f"conv {kernel} {options}", nn.Conv2d(c, c * r.choice([1, 1, 2]), kernel, **options))


def _module(name: str, module: nn.Module) -> Layer:
    return Layer(name, module, module)


def _transpose_convolve(r: random.Random, x: Tensor) -> Layer:
    c, kernel, stride = x.shape[1], r.choice([1, 2, 3, 4]), r.choice([1, 2, 3])
    options = {
        "padding": r.choice([0, 1]) if kernel > 2 else 0,
        "groups": r.choice([1, c]),
        "dilation": r.choice([1, 2]),
    }
    return _module(f"transposed {kernel} {stride} {options}", nn.ConvTranspose2d(c, c, kernel, stride, **options))


def _pool(r: random.Random, x: Tensor) -> Layer:
    kernel, ceil = r.choice([2, 3, (1, 2)]), r.choice([False, True])
    kind, stride = r.choice([nn.MaxPool2d, nn.AvgPool2d]), r.choice([None, 1, 2])
    options = {"dilation": r.choice([1, 2])} if kind is nn.MaxPool2d else {}
    return _module(
        f"{kind.__name__} {kernel} {stride} {ceil} {options}", kind(kernel, stride, ceil_mode=ceil, **options)
    )


def _resize(r: random.Random, x: Tensor) -> Layer:
    mode = r.choice(["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
    size = (
        {"scale_factor": r.choice([2, 0.5, 1.5, 3])}
        if r.random() < 0.5
        else {"size": (r.randint(3, 17), r.randint(3, 17))}
    )
    if mode in ("bilinear", "bicubic"):
        size |= {"align_corners": r.choice([True, False]), "antialias": r.random() < 0.2}
    return Layer(f"interpolate {mode} {size}", lambda x: F.interpolate(x, mode=mode, **size))


def _even(x: Tensor) -> Tensor:
    return x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]


def _write(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    view = y[:, :, 1:]
    y[..., ::2] = x[..., ::2].flip(2)
    y.transpose(2, 3)[:, :, 1] += x[:, :, :1].mean(3)
    y.copy_(y + 0)
    torch.add(view, x[:, :, 1:].roll(1, 3), out=view)
    view[:, :1].mul_(2)
    return view


def _overlap(x: Tensor) -> Tensor:
    y = torch.zeros(x.shape[0], x.shape[1], x.shape[2] + 1, x.shape[3], dtype=x.dtype)
    y[:, :, :-1] = x
    y[:, :, 1:] += x
    seen = y[:, ::2].contiguous()
    y.zero_()
    return seen + y[:, ::2]


MOVES: dict[str, Callable[[random.Random, Tensor], Step]] = {
    "repeat": lambda r, x: lambda x: x.repeat(1, 1, 2, 1),
    "tile": lambda r, x: lambda x: torch.tile(x, (1, 2, 1, 2)),
    "repeat channels": lambda r, x: lambda x: x.repeat(1, 2, 1, 1).chunk(2, 1)[1],
    "interleave": lambda r, x: (lambda d: lambda x: x.repeat_interleave(2, dim=d))(r.choice([2, 3])),
    "interleave by counts": lambda r, x: lambda x: x.repeat_interleave(torch.arange(x.shape[2]) % 3, dim=2),
    "roll": lambda r, x: (lambda s, d: lambda x: torch.roll(x, s, d))(r.randint(-5, 5), r.choice([1, 2, 3])),
    "roll flat": lambda r, x: lambda x: torch.roll(x, 3),
    "flip": lambda r, x: (lambda d: lambda x: x.flip(d))(r.choice([2, 3, (2, 3), 1])),
    "rot90": lambda r, x: (lambda k: lambda x: torch.rot90(x, k, (2, 3)))(r.randint(1, 3)),
    "transpose": lambda r, x: lambda x: x.transpose(2, 3),
    "rows into channels": lambda r, x: lambda x: _even(x).reshape(x.shape[0], -1, x.shape[2] // 2, x.shape[3] // 2 * 2),
    "rows and columns mixed": lambda r, x: lambda x: x.reshape(x.shape[0], x.shape[1], x.shape[3], x.shape[2]),
    "columns to channels": lambda r, x: lambda x: x.permute(0, 3, 2, 1),
    "view of everything": lambda r, x: lambda x: x.contiguous().view(x.shape[0], x.shape[2], x.shape[1], x.shape[3]),
    "pixel unshuffle": lambda r, x: lambda x: F.pixel_unshuffle(_even(x), 2),
    "pixel shuffle": lambda r, x: lambda x: F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2),
    "channel shuffle": lambda r, x: lambda x: F.channel_shuffle(torch.cat([x, x.flip(2)], 1), 2).chunk(2, 1)[0],
    "crop": lambda r, x: lambda x: x[:, :, 1:-1, ::2],
    "pick": lambda r, x: lambda x: x[:, :, [0, 2, 1, 2]][..., torch.tensor([1, 0, 3, 2])],
    "index two": lambda r, x: lambda x: x[:, :, torch.tensor([[0, 1], [2, 1]]), torch.tensor([[1, 0], [0, 2]])],
    "mask": lambda r, x: lambda x: x[:, :, torch.arange(x.shape[2]) % 2 == 0],
    "index select": lambda r, x: lambda x: torch.index_select(x, 3, torch.tensor([2, 0, 1, 1])),
    "gather": lambda r, x: lambda x: torch.gather(x, 2, torch.arange(x.numel()).reshape(x.shape) % x.shape[2]),
    "take along": lambda r, x: lambda x: torch.take_along_dim(x, torch.tensor([2, 1, 0]).view(1, 1, 1, 3), 3),
    "as strided": lambda r, x: (
        lambda x: x.contiguous().as_strided(
            (1, x.shape[1], x.shape[2] - 1, 2), (x.numel(), x.shape[2] * x.shape[3], x.shape[3], x.shape[3] + 1)
        )
    ),
    "unfold": lambda r, x: lambda x: F.unfold(x, 3, padding=1).view(x.shape[0], -1, x.shape[2], x.shape[3]),
    "tensor unfold": lambda r, x: lambda x: x.unfold(2, 3, 2).flatten(3),
    "fold": lambda r, x: (
        lambda x: F.fold(F.unfold(x, 2, stride=2), (x.shape[2] // 2 * 2, x.shape[3] // 2 * 2), 2, stride=2)
    ),
    "diagonal": lambda r, x: lambda x: torch.diagonal(x, dim1=2, dim2=3)[..., None],
    "tril": lambda r, x: lambda x: x.tril(),
    "pad": lambda r, x: lambda x: F.pad(x, (1, 2, -1, 1)),
    "pad reflect": lambda r, x: lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect"),
    "pad circular": lambda r, x: lambda x: F.pad(x, (2, 1, 1, 2), mode="circular"),
    "beside": lambda r, x: lambda x: torch.cat([x, x.flip(3)], 3),
    "below": lambda r, x: lambda x: torch.cat([x[:, :, 1:], torch.zeros_like(x)[:, :, :2], x], 2),
    "channels beside": lambda r, x: lambda x: torch.cat([x, F.max_pool2d(x, 3, 1, 1)], 1)[:, ::2],
    "stacked": lambda r, x: lambda x: torch.stack([x, x.roll(1, 2)], 3).flatten(3, 4).flatten(2, 2),
    "split": lambda r, x: lambda x: torch.cat(x.tensor_split(2, 2)[::-1], 2),
    "written": lambda r, x: lambda x: _write(x),
    "overlapping writes": lambda r, x: _overlap,
    "index put": lambda r, x: (
        lambda x: x.index_put((torch.tensor([0]), torch.tensor([0]), torch.tensor([1])), x[0, 0, 2])
    ),
    "scatter": lambda r, x: lambda x: x.scatter(3, torch.zeros_like(x[..., :1]).long() + 2, x[..., :1]),
    "index copy": lambda r, x: lambda x: x.index_copy(2, torch.tensor([1, 0]), x[:, :, 1:3]),
    "movedim": lambda r, x: lambda x: x.movedim(2, 3).contiguous().movedim(2, 3),
    "unbound": lambda r, x: lambda x: torch.stack(x.unbind(2)[::-1], 2),
    "expanded": lambda r, x: lambda x: x[:, :, :1].expand(-1, -1, 5, -1),
}
MIXES: dict[str, Step] = {
    "diff": lambda x: torch.diff(x, dim=2),
    "cumsum": lambda x: torch.cumsum(x, 3),
    "sort": lambda x: torch.sort(x, dim=2).values,
    "topk": lambda x: torch.topk(x, 2, dim=3).values,
    "softmax": lambda x: x.softmax(2),
    "softmax channels": lambda x: x.softmax(1),
    "row mean": lambda x: x - x.mean(3, keepdim=True),
    "max rows": lambda x: x.amax(2, keepdim=True).expand_as(x) + x,
    "max of two": lambda x: torch.maximum(x, x.flip(2)),
    "where": lambda x: torch.where(x > 0, x, x.roll(1, 3)),
    "masked": lambda x: x.masked_fill(x < 0, 0),
    "set negative": lambda x: _set_negative(x),
    "broadcast": lambda x: x + x[:, :, :1].transpose(2, 3).mean(2, keepdim=True),
    "turned sum": lambda x: (
        x[:, :, : min(x.shape[2:]), : min(x.shape[2:])] + x[:, :, : min(x.shape[2:]), : min(x.shape[2:])].mT
    ),
    "einsum": lambda x: torch.einsum("nchw,cd->ndhw", x, torch.ones(x.shape[1], 3, dtype=x.dtype)),
    "gram": lambda x: torch.matmul(x.transpose(2, 3), x),
    "fft": lambda x: torch.fft.fft2(x).real,
    "glu": lambda x: F.glu(torch.cat([x, x.flip(2)], 1), 1),
    "local response": lambda x: F.local_response_norm(x, 2),
    "grid": lambda x: F.grid_sample(x, torch.linspace(-1, 1, 24, dtype=x.dtype).view(1, 3, 4, 2), align_corners=False),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (3, 5)),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, (2, x.shape[3] + 2)),
    "numpy": lambda x: x + torch.from_numpy(np.array(x[:, :, :1].detach().numpy())).mean(),
    "item": lambda x: x * x[0, 0, 0, 0].item(),
    "relu": lambda x: F.relu_(x * 1),
}


def _set_negative(x: Tensor) -> Tensor:
    y = x.clone()
    y[y < 0] = 0
    return y


def _normalise(r: random.Random, x: Tensor) -> Layer:
    c = x.shape[1]
    kind = r.choice(["batch", "group", "instance", "layer"])
    module = {
        "batch": lambda: nn.BatchNorm2d(c),
        "group": lambda: nn.GroupNorm(c // 2 if c % 2 == 0 else 1, c),
        "instance": lambda: nn.InstanceNorm2d(c),
        "layer": lambda: nn.LayerNorm(x.shape[1:]),
    }[kind]()
    return _module(kind, module)


def _last(r: random.Random, x: Tensor) -> Layer:
    """Layer norm and a linear layer over channels that come last, as in ConvNeXt."""
    c = x.shape[1]
    parts = nn.LayerNorm(c), nn.Linear(c, c)
    return Layer("channels last", lambda x: parts[1](parts[0](x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2), *parts)


def _gate(r: random.Random, x: Tensor) -> Layer:
    c, whole = x.shape[1], r.random() < 0.5
    part = nn.Conv2d(c, c, 1)

    def run(x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1) if whole else x.mean(3, keepdim=True)
        return x * torch.sigmoid(part(pooled))

    return Layer("gate", run, part)


def _branch(r: random.Random, x: Tensor) -> Layer:
    c, part = x.shape[1], r.choice([0, 1])
    parts = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, (1, 5), padding=(0, 2))
    joins: dict[str, Step] = {
        "sum": lambda x: x + parts[1](parts[0](x)),
        "cat": lambda x: torch.cat([parts[0](x), x, parts[1](x)], 1),
        "half": lambda x: torch.cat([x, parts[0](x)], 1).chunk(2, 1)[part],
        "stack": lambda x: torch.stack([parts[0](x), x]).mean(0),
        "space": lambda x: torch.cat([parts[0](x), parts[1](x)], 2),
    }
    kind = r.choice(list(joins))
    return Layer(f"branch {kind}", joins[kind], *parts)


def _attend(r: random.Random, x: Tensor) -> Layer:
    c, h, w = x.shape[1:]
    windows = [s for s in (2, 3) if h % s == 0 and w % s == 0] or [1]
    block = Block(c, r.choice(windows), r.choice([0, 1]), r.random() < 0.5)
    return _module(f"attention {block.window} {block.shift} {block.fused}", block)


def _choose(r: random.Random, x: Tensor) -> Layer:
    kind = r.random()
    if kind < 0.4:
        name = r.choice(list(MOVES))
        return Layer(name, MOVES[name](r, x))
    if kind < 0.55:
        name = r.choice(list(MIXES))
        return Layer(name, MIXES[name])
    return r.choice(
        [_convolve, _convolve, _transpose_convolve, _pool, _resize, _normalise, _last, _gate, _branch, _attend]
    )(r, x)


def random_net(seed: int, size: tuple[int, int] = SIZE) -> nn.Sequential:
    """2 to 4 random steps, in double precision, whose output is a map of moderate size."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    x, layers = torch.randn(1, 4, *size, dtype=torch.float64), []
    for _ in range(r.randint(2, 4)):
        for attempt in count():
            try:
                layer = _choose(r, x).double().eval()
                with torch.no_grad():
                    y = layer(x)
            except (RuntimeError, ValueError, IndexError):
                continue
            if y.ndim == 4 and 0 < y.numel() < 6000 and y.shape[1] <= 32 and min(y.shape[2:]) > 0:
                break
            assert attempt < 500
        layers.append(layer)
        x = y
    return nn.Sequential(*layers)


def read_pixels(
    net: nn.Sequential, size: tuple[int, int] = SIZE, spoil: bool = True
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each layer (H, R, C) and (W, R, C) bool: whether unit (r, c), in any channel, changes with row h or column w
    of the image.

    spoil=True: the row becomes NaN, which spreads to all that is computed from it, also through taps of weight 0.
    spoil=False: it becomes other random numbers, three times; a maximum or a rectifier may hide that."""
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(1, 4, *size, generator=generator, dtype=torch.float64)
    plain = _run(net, base)
    record = find_record(net, base)  # which axis of each output holds its channels, as its maps are shown
    found: list[tuple[list[np.ndarray], list[np.ndarray]]] = [([], []) for _ in net]
    for axis in (0, 1):
        for place in range(size[axis]):
            changed: list[np.ndarray | bool] = [False] * len(plain)
            for scale in (torch.nan,) if spoil else (1, -3, 30):
                x = base.clone()
                part = x.select(2 + axis, place)
                part.copy_(scale * torch.randn(part.shape, generator=generator, dtype=x.dtype))
                for i, (y, old) in enumerate(zip(_run(net, x), plain, strict=True)):
                    moved = y.isnan() if spoil else (y - old).abs() > 1e-9 * (1 + old.abs())
                    maps = as_maps(lay_out_output(record, str(i), 1, moved, net[i]))
                    changed[i] = changed[i] | maps.any(1)[0].numpy()
            for i, one in enumerate(changed):
                found[i][axis].append(one)
    return [(np.stack(rows), np.stack(cols)) for rows, cols in found]


def _run(net: nn.Sequential, x: Tensor) -> list[Tensor]:
    outputs = []
    with torch.no_grad():
        for layer in net:
            x = layer(x)
            outputs.append(x.clone())
    return outputs


def hull(read: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and one past the last place of (n, R, C) that is read; n and 0 where none is."""
    n = len(read)
    low = np.where(read.any(0), read.argmax(0), n)
    high = np.where(read.any(0), n - read[::-1].argmax(0), 0)
    return low, high
