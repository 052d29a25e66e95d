"""A search whose passes are recorded, rectifiers within convolutions, finds what the network's own code gives, to the
bit."""

import gc
import weakref

import numpy as np
import pytest
import torch
from nets import Functional, Written, hooks_left, images, published, tiny
from slowindex import memory, noise
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from cnnviz.device import fuses_bfloat16
from cnnviz.engine.observed_pass import record_observed_pass, run_until_seen
from cnnviz.engine.peaks import find_peaks
from cnnviz.engine.recorder import Recorder
from cnnviz.index.search import search as search_module
from cnnviz.index.search.build import index_patches
from cnnviz.index.search.loader import Batch
from cnnviz.index.search.search import PAYS, RECORDED, Search

STATISTICS = ("maximum", "histogram", "means", "positive")


def rectified(dead: bool = False) -> nn.Module:
    """Convolutions with rectifiers in place and not, one without, and a block with two readers."""
    torch.manual_seed(1)
    net = Functional(
        lambda n, x: n.d(torch.cat([s := n.relu(n.b(n.relu_(n.a(x)))), n.c(s) + s], 1)),
        a=nn.Conv2d(3, 6, 3, padding=1),
        relu_=nn.ReLU(inplace=True),
        b=nn.Conv2d(6, 6, 3, padding=1),
        relu=nn.ReLU(),
        c=nn.Conv2d(6, 6, 1, padding="same"),
        d=nn.Sequential(nn.Conv2d(12, 4, 3), nn.ReLU(), nn.Dropout()),
    )
    if dead:
        with torch.no_grad():
            net.a.bias[2] = -100.0
    return net


def both(model, pixels, monkeypatch, batch=4, **how):
    """(index with recorded passes, index without, the search of the first)."""
    made, built = [], Search.__init__

    def init(self, *given, **named):
        built(self, *given, **named)
        made.append(self)

    monkeypatch.setattr(Search, "__init__", init)
    have = index_patches(model, memory(pixels), batch=batch, **how)
    recorder = next(search for search in made if search.passes)
    monkeypatch.setattr(search_module, "PAYS", 1 << 60)
    return have, index_patches(model, memory(pixels), batch=batch, **how), recorder


def assert_same(have, want):
    assert have.layers == want.layers
    for layer, top in want.tops.items():
        for name, part in top.arrays().items():
            assert np.array_equal(have.tops[layer].arrays()[name], part, equal_nan=True), (layer, name)
        for name in (*STATISTICS, "units", "sampled"):
            assert np.array_equal(getattr(have.statistics[layer], name), getattr(want.statistics[layer], name)), name


@pytest.mark.usefixtures("bfloat16_everywhere")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_recorded_search_finds_the_same_to_the_bit(precision, monkeypatch):
    model, pixels = tiny(rectified(), (12, 12)), noise(4 * PAYS + 3)  # the last pass is not full
    have, want, search = both(model, pixels, monkeypatch, precision=precision)
    assert search._recorded is not None
    joins = {"a", "b"} if precision == "float32" or fuses_bfloat16() else set()
    assert search._recorded.joinable == joins and {"a", "b"} <= search._find_joined()  # a sum reads c, nothing d.0
    assert_same(have, want)
    assert hooks_left(model.module) == 0


def test_what_can_be_won_below_zero_is_searched_there(monkeypatch):
    pixels = noise(4 * PAYS)
    have, want, search = both(tiny(rectified(dead=True), (12, 12)), pixels, monkeypatch, precision="float32")
    assert "a" in search._recorded.joinable and "a" not in search._find_joined()
    assert have.tops["a"].values[2].max() < 0
    assert_same(have, want)


@pytest.mark.parametrize("name, size", [("squeezenet1_0", (64, 64)), ("alexnet", (96, 96)), ("resnet20_cifar", None)])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_networks_of_the_catalogue_show_the_same_maps(name, size, bfloat16):
    model = published(name, size)
    calls = [layer for layer in model.layers("conv")]
    batch, other = (images(4, tuple(model.input_size[1:]), seed=s) for s in (0, 1))
    batch, other = (one.contiguous(memory_format=torch.channels_last) for one in (batch, other))
    model.module.to(memory_format=torch.channels_last)
    want, plain, joined = {}, {}, {}
    with torch.inference_mode():
        found, own = record_observed_pass(model.module, calls, batch, bfloat16)
        exact = found.agrees(batch, own)  # else it is not used: on one core oneDNN may add up in another order
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            run_until_seen(model.module, calls, other, lambda call, maps: want.update({call: maps.clone()}))
        found(other, lambda call, maps, _: plain.update({call: maps.clone()}))
        found(other, lambda call, maps, _: joined.update({call: maps.clone()}), found.joinable)
    assert own.keys() == want.keys() == plain.keys() == joined.keys() == set(calls)
    fuses = not bfloat16 or fuses_bfloat16()
    assert bool(found.joinable) == (fuses and name != "resnet20_cifar")  # there batch norm reads convolutions
    assert exact or torch.get_num_threads() == 1
    for call in calls:
        tolerance = 0 if exact else 1e-4 * float(want[call].abs().max())
        joins = call in found.joinable
        assert torch.allclose(plain[call], want[call], rtol=0, atol=tolerance)
        assert torch.allclose(joined[call], want[call].relu() if joins else want[call], rtol=0, atol=tolerance)


def test_a_layer_called_twice_and_one_under_two_names(monkeypatch):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 3, 3, padding=1)
    net = Functional(lambda n, x: n.conv(n.relu(n.twin(x))), conv=conv, twin=conv, relu=nn.ReLU())
    model, layers = tiny(net, (12, 12)), ["conv:1", "conv", "relu", "conv:2"]
    have, want, search = both(model, noise(4 * PAYS), monkeypatch, layers=layers, precision="float32")
    assert search._recorded is not None and have.layers == layers
    assert_same(have, want)


def depends(n, x):
    maps = n.conv(x)
    return maps * 2 if float(maps.mean()) > 0 else maps


def written(n, x):
    maps = n.conv(x)
    maps[:, 0] = 0
    return maps


@pytest.mark.parametrize(
    "forward, recorded",
    [(depends, False), (written, False), (lambda n, x: n.conv(x).mul_(2), True), (lambda n, x: n.conv(x) * 2, True)],
    ids=["depends on values", "writes into a part", "writes into what is shown", "plain"],
)
def test_only_what_shows_the_same_again_is_recorded(forward, recorded, monkeypatch):
    torch.manual_seed(0)
    model = tiny(Functional(forward, conv=nn.Conv2d(3, 4, 3)), (12, 12))
    have, want, search = both(model, noise(4 * PAYS), monkeypatch, layers=["conv", "out"], precision="float32")
    assert (search._recorded is not None) == recorded
    assert_same(have, want)


def test_numbers_that_may_overflow_are_left_to_the_network(monkeypatch):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Written(lambda x: x * 1e13), nn.Conv2d(4, 4, 3))
    have, want, search = both(tiny(net, (12, 12)), noise(4 * PAYS), monkeypatch, precision="float32")
    assert search._recorded is None
    assert_same(have, want)


def remembering(n, x):
    maps = n.conv(x)
    before, n.before = getattr(n, "before", None), maps.mean()
    return maps if before is None else maps + before


@pytest.mark.parametrize(
    "forward",
    [
        lambda n, x: n.conv(x) * (2 if torch.allclose(x, x.amax(), equal_nan=True) else 1),
        lambda n, x: n.conv(x) * float(np.from_dlpack(x).mean()),
        remembering,
        lambda n, x: n.conv(n.mean.add_(1) + x),
    ],
    ids=["compares", "reads past PyTorch", "remembers", "changes its buffer"],
)
def test_what_one_pass_cannot_tell_is_not_trusted(forward, monkeypatch):
    torch.manual_seed(0)
    net = Functional(forward, conv=nn.Conv2d(3, 4, 3))
    net.register_buffer("mean", torch.zeros(1))
    _, _, search = both(tiny(net, (12, 12)), noise(4 * PAYS), monkeypatch, layers=["conv", "out"], precision="float32")
    assert search._recorded is None


def test_a_layer_that_is_first_called_when_it_is_recorded():
    torch.manual_seed(0)
    net = Functional(
        lambda n, x: n.conv(x) if n.skips else n.late(n.conv(x)), conv=nn.Conv2d(3, 4, 3), late=nn.Conv2d(4, 4, 3)
    )
    net.skips = False
    search, pixels = Search(tiny(net, (12, 12)), ["conv", "late"], 3, 4, False, PAYS), torch.from_numpy(noise(48))
    for first in range(0, 48, 4):
        net.skips = first < 4 * RECORDED  # the very first is a sample, which is not counted
        search.add(Batch(pixels[first : first + 4], list(range(first, first + 4)), [], first + 4))
    search.settle()
    assert search._recorded is None
    assert set(search.tops["late"].images.flatten().tolist()) <= set(range(4 * RECORDED, 48))


def test_maps_that_are_changed_through_a_view_before_they_are_shown(monkeypatch):
    torch.manual_seed(0)

    def forward(n, x):
        maps = n.conv(x)
        maps.permute(0, 2, 3, 1).clamp_(max=1e3)  # which only shows where something is above
        return maps

    model = tiny(Functional(forward, conv=nn.Conv2d(3, 4, 3)), (12, 12))
    have, want, search = both(model, noise(4 * PAYS), monkeypatch, layers=["conv", "out"], precision="float32")
    assert search._recorded is None
    assert_same(have, want)


def test_images_of_which_the_network_makes_nan_enter_nothing_behind_a_rectifier(monkeypatch):
    torch.manual_seed(0)
    net = Functional(
        lambda n, x: n.b(n.relu(n.a(x / x.norm(dim=1, keepdim=True)))),
        a=nn.Conv2d(3, 4, 3),
        relu=nn.ReLU(),
        b=nn.Conv2d(4, 4, 3),
    )
    pixels = noise(4 * PAYS)
    pixels[100:, 5, 5] = 0  # 0 / 0
    have, want, search = both(tiny(net, (12, 12)), pixels, monkeypatch, layers=["a", "b"], precision="float32")
    assert search._recorded is not None and search._recorded.joinable == set()
    assert_same(have, want)


def test_hooks_of_others_go_on_being_called(monkeypatch):
    net, called = rectified(), []
    handle = net.a.register_forward_hook(lambda *_: called.append(1))
    _, _, search = both(tiny(net, (12, 12)), noise(4 * PAYS), monkeypatch, precision="float32")
    handle.remove()
    assert search._recorded is None and len(called) >= 2 * PAYS


def test_maps_are_let_go_as_soon_as_they_were_seen():
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(3, 3) for _ in range(6)))  # of maps (N, H, W, 3): views are shown
    alive, most = [], 0

    def visit(_call, maps, _rectified):
        nonlocal most
        alive.append(weakref.ref(maps))
        most = max(most, sum(reference() is not None for reference in alive))

    with torch.inference_mode():
        found, _ = record_observed_pass(net, [str(i) for i in range(6)], torch.randn(2, 5, 5, 3), False)
        found(torch.randn(2, 5, 5, 3), visit)
    assert len(alive) == 6 and most == 1


def test_a_recording_that_fails_leaves_nothing_on_the_network():
    net = Functional(lambda n, x: n.conv(x) + float((n.scale.relu() * x.mean()).sum()), conv=nn.Conv2d(3, 4, 3))
    net.scale = nn.Parameter(torch.ones(1))
    with torch.inference_mode():
        assert record_observed_pass(net, ["out"], images(2), False) is None
    assert not [name for tensor in net.parameters() for name in vars(tensor)]
    assert hooks_left(net) == 0


def test_a_short_run_is_not_recorded(monkeypatch):
    _, _, search = both(tiny(rectified(), (12, 12)), noise(4 * (PAYS - 1)), monkeypatch, precision="float32")
    assert search._recorded is None and RECORDED < PAYS


def test_nothing_of_a_recorded_pass_stays(monkeypatch):
    model = tiny(rectified(), (12, 12))
    with torch.inference_mode():
        found, _ = record_observed_pass(model.module, ["a", "b"], images(4, (12, 12)), False)
    assert not [name for tensor in model.module.state_dict(keep_vars=True).values() for name in vars(tensor)]
    gone = weakref.ref(found)
    del found
    gc.collect()
    assert gone() is None


def test_a_failure_in_the_middle_counts_no_image_twice(monkeypatch):
    """The network minds being recorded after half of its layers: the batch is then passed as it is."""

    def refuses(x):
        if isinstance(_get_current_dispatch_mode(), Recorder):
            raise RuntimeError("not here")
        return x

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Written(refuses), nn.Conv2d(4, 4, 3))
    have, want, search = both(tiny(net, (12, 12)), noise(4 * PAYS), monkeypatch, precision="float32")
    assert search._recorded is None
    assert_same(have, want)
    assert hooks_left(search.model.module) == 0


def test_the_peaks_of_the_recorded_batch_are_those_of_its_maps():
    model, batch, maps = tiny(rectified(), (12, 12)), images(4, (12, 12)), {}
    with torch.inference_mode():
        _, own = record_observed_pass(model.module, ["a", "c"], batch, False)
        run_until_seen(model.module, ["a", "c"], batch, lambda call, output: maps.update({call: output.clone()}))
    for call, (values, places) in own.items():
        assert torch.equal(values, maps[call].flatten(2).max(2).values)
        assert torch.equal(places, find_peaks(maps[call])[1])
