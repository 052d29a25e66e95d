"""On a processor with AVX2 and nothing beyond: what was asked for in bfloat16 is computed in float32, and said; what
was begun in bfloat16 elsewhere goes on in it; nothing is called that raises there."""

import numpy as np
import pytest
import torch
from nets import Functional, images, tiny
from slowindex import memory, noise
from torch import nn

from cnnviz.cli.doctor.checks import check_devices
from cnnviz.device import describe_precision, fast_bfloat16, fuses_bfloat16, precision_meta, usable_precision
from cnnviz.errors import BadInput, Cancelled
from cnnviz.figures.landscape.words import provenance
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.plane.checkpoint import name_file
from cnnviz.landscape.plane.surface import loss_surface
from cnnviz.landscape.results import Surface
from cnnviz.studies.channels.tables import describe_index
from cnnviz.training.loop import _Run
from cnnviz.training.recipe import Recipe

LABELS = torch.arange(20) % 3


def network() -> nn.Module:
    """A rectifier that oneDNN can compute within its convolution, a sum, and a max-pooling of rectified maps."""
    torch.manual_seed(0)
    return Functional(
        lambda n, x: n.fc(n.pool(n.relu(n.b(n.relu(n.c(x := n.relu(n.a(x))))) + x)).flatten(1)),
        a=nn.Conv2d(3, 6, 3, padding=1),
        b=nn.Conv2d(6, 6, 3, padding=1),
        c=nn.Conv2d(6, 6, 1),
        relu=nn.ReLU(),
        pool=nn.MaxPool2d(2),
        fc=nn.Linear(6 * 16, 3),
    )


def surface(precision: str, out=None, progress=None) -> Surface:
    return loss_surface(
        tiny(network(), (8, 8)),
        images(20),
        LABELS,
        4,
        precision=precision,
        batch=20,
        out=out,
        progress=progress,
    )


def index(precision: str, out=None, progress=None, count: int = 60) -> PatchIndex:
    model, pixels = tiny(network(), (8, 8)), memory(noise(count))
    return index_patches(model, pixels, ["a", "pool"], 3, out, precision, progress, batch=4)


@pytest.fixture
def begun(tmp_path, bfloat16_everywhere, monkeypatch):
    """(a surface, an index) begun in bfloat16 on a processor that is fast in it; this one is again what it is."""
    files = tmp_path / "surface.npz", tmp_path / "index.npz"
    with pytest.raises(Cancelled):
        surface("bfloat16", files[0], lambda state: state.done < 10)
    index("bfloat16", files[1], lambda state: state.done < 20)
    monkeypatch.undo()
    return files


def test_the_switch_is_asked_each_time(monkeypatch):
    monkeypatch.setenv("CNNVIZ_CPU", "avx2")
    assert not fast_bfloat16("cpu") and not fuses_bfloat16()
    monkeypatch.setenv("CNNVIZ_CPU", "sse")
    with pytest.raises(BadInput, match="CNNVIZ_CPU must be \"avx2\", or not set, got 'sse'"):
        fast_bfloat16("cpu")
    monkeypatch.delenv("CNNVIZ_CPU")
    assert fuses_bfloat16() == torch.ops.mkldnn._is_mkldnn_bf16_supported()


@pytest.mark.usefixtures("avx2")
def test_only_bfloat16_on_a_cpu_is_replaced():
    assert [usable_precision(asked, "cpu") for asked in ("auto", "float32", "bfloat16")] == ["auto", *["float32"] * 2]
    assert usable_precision("bfloat16", "cuda:0") == "bfloat16"
    assert precision_meta("bfloat16", "bfloat16") == {"precision": "bfloat16"}
    assert describe_precision({"precision": "float32"}) == "float32" and describe_precision({}) == ""


@pytest.mark.usefixtures("avx2")
def test_a_surface_asked_for_in_bfloat16_is_one_in_float32_that_says_so(tmp_path):
    found, exact = surface("bfloat16", tmp_path / "s.npz"), surface("float32")
    np.testing.assert_array_equal(found.loss, exact.loss)
    assert (found.meta["precision"], found.meta["precision_asked"]) == ("float32", "bfloat16")
    assert "precision_asked" not in exact.meta and "precision_asked" not in surface("auto").meta
    assert "float32 (not bfloat16, which is slow on that processor)" in provenance(Surface.load(tmp_path / "s.npz"))


def test_a_surface_in_float32_is_continued_where_bfloat16_is_fast(tmp_path, request, monkeypatch):
    out = tmp_path / "s.npz"
    with monkeypatch.context() as lesser:
        lesser.setenv("CNNVIZ_CPU", "avx2")
        with pytest.raises(Cancelled):
            surface("bfloat16", out, lambda state: state.done < 10)
    request.getfixturevalue("bfloat16_everywhere")
    assert surface("bfloat16", out).meta["precision"] == "float32"


def test_a_surface_begun_in_bfloat16_goes_on_in_it(begun, request):
    request.getfixturevalue("avx2")
    for precision in ("float32", "bfloat16"):
        if precision == "float32":
            with pytest.raises(BadInput, match="of a surface with another precision"):
                surface(precision, begun[0])
            continue
        found = surface(precision, begun[0])
        assert found.meta["precision"] == "bfloat16" and found.complete and not name_file(begun[0]).exists()
        np.testing.assert_allclose(found.loss, surface("float32").loss, rtol=0.05)


def test_an_index_begun_in_bfloat16_goes_on_in_it(begun, request):
    request.getfixturevalue("avx2")
    with pytest.raises(BadInput, match="different precision"):
        index("float32", begun[1])
    found = index("bfloat16", begun[1])
    assert found.complete and found.meta["precision"] == "bfloat16" and "precision_asked" not in found.meta


@pytest.mark.usefixtures("avx2")
def test_an_index_asked_for_in_bfloat16_is_one_in_float32_that_says_so(tmp_path):
    out = tmp_path / "index.npz"
    assert not index("bfloat16", out, lambda state: state.done < 8, 20).complete
    found, exact = index("bfloat16", out, count=20), index("float32", count=20)
    for layer, top in exact.tops.items():
        np.testing.assert_array_equal(found.tops[layer].values, top.values)
    assert (found.meta["precision"], found.meta["precision_asked"]) == ("float32", "bfloat16")
    assert "agreement" not in found.meta and "precision_asked" not in exact.meta
    assert dict(describe_index(found))["precision"] == "float32 (not bfloat16, which is slow on that processor), exact"


@pytest.mark.usefixtures("avx2")
def test_what_oneDNN_cannot_fuse_in_bfloat16_is_fused_in_float32():
    evaluator = Evaluator(tiny(network(), (8, 8)), images(20), LABELS, "bfloat16", batch=20)
    assert evaluator.fused and evaluator._runner(False).fused and not evaluator._runner(True).fused
    losses = [evaluator._at(evaluator._move({}), half).loss for half in (False, True)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_training_takes_the_precision_that_serves(avx2):
    wanted = {"auto": {"precision": "float32"}, "bfloat16": precision_meta("bfloat16", "float32")}
    for asked, said in wanted.items():
        where, module = torch.device("cpu"), nn.Linear(1, 1)
        run = _Run(module, torch.optim.SGD(module.parameters()), Recipe(precision=asked), where, None, [], None, [])
        assert not run.bfloat16 and run.precision == said


def test_the_doctor_says_what_the_processor_is_taken_for(avx2):
    said = {finding.name: finding.text for finding in check_devices()}
    assert "bfloat16 is not faster here" in said["cpu"] and said["CNNVIZ_CPU"] == "avx2"
