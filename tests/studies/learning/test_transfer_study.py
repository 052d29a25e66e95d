"""The study of transferable features: what is copied and frozen, what is resumed, and what is said of its numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz.data.labelled import load_labelled
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.catalogue import architecture
from cnnviz.models.catalogue.registry import find
from cnnviz.studies.learning import halves as trainings
from cnnviz.studies.learning.halves import copy_up_to, run_study, split_classes
from cnnviz.studies.learning.transfer import KINDS, TransferStudy, bundled_study, describe_study
from cnnviz.training.recipe import Recipe

GRAY = Preprocessing((8, 8), mean=(0.5,), std=(0.5,))
RECIPE = Recipe(epochs=1, batch=8, lr=0.1, warmup=0, crop=1, flip=False, precision="float32")
LAYERS = ("conv1", "conv2")


def builder(classes: int) -> nn.Module:
    parts = dict(conv1=nn.Conv2d(1, 3, 3), norm=nn.BatchNorm2d(3), conv2=nn.Conv2d(3, 4, 3), relu=nn.ReLU())
    net = nn.Sequential()
    for name, part in (parts | dict(flat=nn.Flatten(), fc=nn.Linear(64, classes))).items():
        net.add_module(name, part)
    return net


@pytest.fixture
def tiny(monkeypatch) -> str:
    entry = replace(find("lenet5"), name="tiny", builder=builder, preprocessing=GRAY, classes=4, labels=("a", "b"))
    monkeypatch.setitem(architecture._CATALOGUE, "tiny", entry)
    return "tiny"


@pytest.fixture
def pair(tmp_path):
    """Four classes of stripes: those at even places lie, those at odd ones stand."""
    rng = np.random.default_rng(0)
    for label, name in enumerate("pqrs"):
        for number in range(10):
            picture = rng.integers(0, 60, (8, 8), dtype=np.uint8)
            (picture if label % 2 else picture.T)[:, 2 + label // 2 :: 4] = 250
            (tmp_path / "train" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(tmp_path / "train" / name / f"{number}.png")
    (tmp_path / "test" / "p").mkdir(parents=True)
    return split_classes(load_labelled(tmp_path, "train", GRAY), 6, 4)


def study(values: dict[str, list[list[float]]], bases: list[list[float]]) -> TransferStudy:
    empty = TransferStudy.empty(LAYERS, range(len(bases)), {"architecture": "tiny"})
    empty.bases[:] = bases
    for kind in KINDS:
        empty.accuracy[kind][:] = values.get(kind, [[0.5, 0.5]] * len(bases))
    return empty


def test_the_halves_have_every_second_class_and_no_image_is_trained_on_and_measured(pair):
    a, b = pair
    assert a.training.class_names == ["p", "r"] and b.training.class_names == ["q", "s"]
    for half in pair:
        assert list(np.bincount(half.training.labels)) == [6, 6] and list(np.bincount(half.testing.labels)) == [4, 4]
        seen = {pixels.tobytes() for pixels in half.training.pixels}
        assert len(seen) == 12 and not seen & {pixels.tobytes() for pixels in half.testing.pixels}


def test_too_few_images_are_refused(pair):
    with pytest.raises(BadInput, match="12 images of each of at least 4 classes; there are 2"):
        split_classes(pair[0].training, 6, 6)


def test_the_layers_up_to_the_cut_are_copied_with_their_statistics_and_no_others():
    torch.manual_seed(0)
    trained, module = builder(2).state_dict(), builder(2)
    trained["norm.running_mean"] += 3
    taken = copy_up_to(module, trained, "conv2", (1, 8, 8))
    own = module.state_dict()
    assert set(taken) == {name for name in own if not name.startswith("fc")}
    assert {name for name in own if torch.equal(own[name], trained[name])} == set(taken)


def test_frozen_kinds_keep_the_copied_layers_and_tuned_ones_move_them(tiny, pair, monkeypatch):
    ends: dict[tuple[str, str], list[dict]] = {}
    plain, asked = trainings.train_quietly, []

    def watch(module, half, preprocessing, recipe, frozen=None):
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        score = plain(module, half, preprocessing, recipe, frozen)
        after = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        asked.append((before, after, half))
        return score

    monkeypatch.setattr(trainings, "train_quietly", watch)
    order: list[tuple[str, int]] = []
    empty = TransferStudy.empty(LAYERS, [0], {})
    found = run_study(empty, tiny, pair, RECIPE, lambda _study, _row, kind, column: order.append((kind, column)))
    assert found.complete and len(order) == 2 + len(KINDS) * len(LAYERS)
    ends = dict(zip(order, asked, strict=True))
    bases = {"A": ends["A", -1][1], "B": ends["B", -1][1]}
    assert ends["A", -1][2] is pair[0] and all(half is pair[1] for key, (*_, half) in ends.items() if key[0] != "A")
    for (kind, column), (before, after, _half) in ends.items():
        if column < 0:
            continue
        copied = ("conv1",) if column == 0 else ("conv1", "norm", "conv2")
        for name, tensor in before.items():
            layer = name.partition(".")[0]
            assert torch.equal(tensor, bases[kind[0]][name]) == (layer in copied) or name.endswith("tracked")
            still = layer in copied and not kind.endswith("+")
            assert torch.equal(tensor, after[name]) == still, (kind, column, name)


def test_an_interrupted_study_goes_on_to_the_same_numbers(tiny, pair, tmp_path):
    whole = run_study(TransferStudy.empty(LAYERS, [0, 1], {}), tiny, pair, RECIPE)

    class Stop(Exception):
        pass

    def stop(current: TransferStudy, row: int, kind: str, column: int) -> None:
        current.save(tmp_path / "study.json")
        if (row, kind, column) == (1, "AnB", 0):
            raise Stop

    with pytest.raises(Stop):
        run_study(TransferStudy.empty(LAYERS, [0, 1], {}), tiny, pair, RECIPE, stop)
    part = TransferStudy.load(tmp_path / "study.json")
    assert not part.complete and (1, "AnB+", 0) in list(part.list_open())
    rest = run_study(part, tiny, pair, RECIPE)
    np.testing.assert_allclose(rest.bases, whole.bases, atol=1e-6)
    for kind in KINDS:
        np.testing.assert_allclose(rest.accuracy[kind], whole.accuracy[kind], atol=1e-6)


def test_a_fall_shows_only_beyond_the_spread_over_seeds():
    bases = [[0.7, 0.70], [0.7, 0.72], [0.7, 0.74]]
    same_fall = {"BnB": [[0.70, 0.60], [0.72, 0.62], [0.74, 0.64]], "AnB": [[0.70, 0.50], [0.72, 0.66], [0.74, 0.40]]}
    found = study(same_fall, bases)
    assert found.co_adaptation.falls == ["conv2"] and found.co_adaptation.mean == pytest.approx([0, -0.1])
    values = np.array([-0.10, 0.04, -0.24])  # AnB − BnB at conv2: falls on average, but not beyond 2 deviations
    assert found.specificity.mean[1] == pytest.approx(values.mean()) and values.mean() > -2 * values.std(ddof=1)
    assert found.specificity.falls == []
    lines = describe_study(found)
    assert lines[0].startswith("Co-adaptation shows:") and "conv2 −10.0 ± 0.0 points" in lines[0]
    assert lines[1] == "Specificity does not show: AnB falls below BnB nowhere beyond the spread over seeds."


def test_one_seed_has_no_spread_and_shows_nothing():
    found = study({"BnB": [[0.1, 0.1]]}, [[0.9, 0.9]])
    assert np.isnan(found.co_adaptation.deviation).all() and not found.co_adaptation.falls
    assert "does not show" in describe_study(found)[0]


@pytest.mark.parametrize("change", [{"study": "other"}, {"seeds": [0]}, {"accuracy": {}}, {"bases": [[1, 2, 3]]}])
def test_files_of_another_kind_are_refused(tmp_path, change):
    path = tmp_path / "study.json"
    study({}, [[0.5, 0.5], [0.5, 0.5]]).save(path)
    assert TransferStudy.load(path).complete
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match="holds no study of transfer"):
        TransferStudy.load(path)


def test_the_bundled_study_is_whole_and_of_several_seeds():
    found = bundled_study()
    assert found is not None and found.complete and len(found.seeds) >= 3
    assert set(found.meta["halves"]["A"]).isdisjoint(found.meta["halves"]["B"])
    values = np.concatenate([found.bases, *found.accuracy.values()], axis=1)
    assert ((values > 0.2) & (values < 1)).all()  # five classes: better than chance
    assert (
        Path(str(found.meta["command"]).split()[2].replace(".", "/") + ".py").as_posix()
        == "benchmarks/transfer_study.py"
    )
    assert len(describe_study(found)) == 3
