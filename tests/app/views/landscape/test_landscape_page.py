"""The page of loss landscapes: with all, some, or none of the files that may come with it."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from app_jobs import when_built
from app_pages import Failing, chosen, errors
from made_surfaces import bowl, path_of
from torch import nn

import cnnviz
from app.views.landscape import catalogue
from app.views.landscape import data as landscape_data
from app.views.landscape import training as landscape_training
from cnnviz.data.class_names import CIFAR10, MNIST
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.labelled import corpus_class_numbers
from cnnviz.landscape.results import Surface
from cnnviz.models.bundled import assets

QUICK = {"view": "Compute", "steps": "13", "images": "100"}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of landscapes, as they come with cnnviz: a pair on two planes, epochs and a path."""
    folder = tmp_path / "landscapes"
    monkeypatch.setenv("CNNVIZ_LANDSCAPES", str(folder))
    for seed in (0, 1):
        bowl(seed=seed).save(folder / f"resnet20_cifar-seed{seed}.npz")
        bowl(ripple=5.0 + seed, seed=seed).save(folder / f"plain20_cifar-seed{seed}.npz")
    return folder


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_LANDSCAPES", str(tmp_path / "none"))


class Tiny(nn.Sequential):
    """(N, 3, 16, 16) → logits."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)
        )


class Poisoned(Tiny):
    """Its answers are NaN."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * float("nan")


def figure(at: Any) -> dict[str, Any]:
    """The figure on the page."""
    found = [json.loads(shown.proto.json) for shown in at.get("bidi_component") if shown.proto.json]
    (data,) = [own for own in found if "figure" in own]
    return json.loads(data["figure"])


def pictures(at: Any) -> list[Any]:
    """The answers and feature maps on the page."""
    return [element for kind in ("imgs", "image") for element in at.get(kind)]


def kinds(at: Any) -> list[str]:
    return [trace["type"] for trace in figure(at)["data"]]


def test_the_pair_with_and_without_shortcuts_is_drawn_at_once(opened, files):
    at = opened("landscape")
    assert errors(at) == [] and kinds(at) == ["surface", "surface"]
    assert [box.value for box in at.selectbox if box.key in ("left", "right")] == ["resnet20_cifar", "plain20_cifar"]
    assert any("This is a slice, not the landscape." in m.value for m in at.markdown)


@pytest.mark.parametrize(
    ("view", "drawn"),
    [
        ("Contours", {"heatmap", "contour", "scatter"}),
        ("Slices", {"scatter"}),
        ("Sharpness", {"heatmap", "contour", "scatter"}),
    ],
)
def test_every_view_opens_by_its_link(opened, files, view, drawn):
    at = opened("landscape", view=view)
    assert errors(at) == [] and set(kinds(at)) == drawn
    assert at.segmented_control(key="view").value == view


def test_scale_and_cut_are_choices_that_the_link_carries(opened, files):
    at = opened("landscape", heights="Linear", cut="5")
    assert figure(at)["data"][0]["cmax"] == 5.0 == figure(at)["data"][1]["cmax"]
    at.segmented_control(key="heights").set_value("Log").run()
    assert figure(at)["data"][0]["cmax"] == pytest.approx(np.log10(5)) and "heights" not in at.query_params


def test_rolling_anew_shows_the_other_plane_and_the_median_lies_between(opened, files):
    at = opened("landscape", view="Slices")
    at.button(key="reroll").click().run()
    assert errors(at) == [] and at.query_params["seed"] == "1"
    at = opened("landscape", seed="median")
    assert errors(at) == [] and "median of 2 planes" in " ".join(c.value for c in at.caption)
    middle = catalogue.load_landscape("plain20_cifar", "median").surface.loss
    both = [Surface.load(files / f"plain20_cifar-seed{seed}.npz").loss for seed in (0, 1)]
    np.testing.assert_allclose(middle, np.mean(both, axis=0))


def test_where_one_network_has_files_it_stands_alone(opened, files):
    for path in files.glob("plain*"):
        path.unlink()
    at = opened("landscape")
    assert errors(at) == [] and kinds(at) == ["surface"]


def test_a_damaged_file_is_named_in_words(opened, files):
    (files / "plain20_cifar-seed0.npz").write_bytes(b"PK\x03\x04 and no more")
    (said,) = errors(opened("landscape"))
    assert "plain20_cifar-seed0.npz" in said and "Traceback" not in said


def test_a_file_of_another_kind_is_named_in_words(opened, files):
    path_of().save(files / "plain20_cifar-seed0.npz")
    (said,) = errors(opened("landscape"))
    assert "plain20_cifar-seed0.npz" in said and "surface" in said


def test_the_training_shows_the_epochs_and_the_way_there_is(opened, files):
    at = opened("landscape", view="Training")
    assert errors(at) == [] and at.info  # nothing of a training is there
    for epoch in (0, 5, 10):
        bowl(steps=5, floor=2.0 - epoch / 10).save(files / f"plain20_cifar-epoch{epoch:03}.npz")
    at = opened("landscape", view="Training")
    assert errors(at) == [] and kinds(at) == ["surface"] and len(figure(at)["frames"]) == 3
    path_of().save(files / "plain20_cifar-trajectory.npz")
    at = opened("landscape", view="Training", epoch="5")
    assert figure(at)["layout"]["sliders"][0]["active"] == 1 and "scatter" in kinds(at)
    assert "CSV, path" in [button.proto.label for button in at.get("download_button")]


def test_the_training_leads_to_the_network_as_it_was_after_an_epoch(opened, files):
    prints = {n: cnnviz.load("plain20_cifar", f"epoch-{n}", "cpu").fingerprint for n in (0, 5, 10)}
    for epoch in (0, 3, 5):  # no snapshot of epoch 3 comes with cnnviz
        bowl(steps=5, weights=prints.get(epoch, "")).save(files / f"plain20_cifar-epoch{epoch:03}.npz")
    bowl(steps=5, weights=prints[0]).save(files / "plain20_cifar-epoch010.npz")  # of another training

    def ways(at):
        return [link.proto for link in at.get("page_link") if "weights=epoch" in link.proto.query_string]

    at = opened("landscape", view="Training", epoch="5", untrained="True")
    assert errors(at) == []
    assert [way.label for way in ways(at)] == ["First-layer filters", "Feature maps", "Top-9 patches"]
    for way in ways(at):
        assert "net=plain20_cifar" in way.query_string and "weights=epoch-5" in way.query_string
        assert "untrained" not in way.query_string
    assert any("before its training" in m.value for m in opened("landscape", view="Training", epoch="0").markdown)
    assert ways(opened("landscape", view="Training", epoch="3")) == []
    assert ways(opened("landscape", view="Training", epoch="10")) == []


def test_a_snapshot_that_is_damaged_or_gone_takes_the_links_away_and_nothing_else(opened, files, tmp_path, monkeypatch):
    weights = tmp_path / "assets" / "weights" / "snapshots" / "plain20_cifar"
    shutil.copytree(assets() / "weights" / "snapshots" / "plain20_cifar", weights)
    for file in (assets() / "weights").glob("plain20*"):
        shutil.copy(file, tmp_path / "assets" / "weights")
    (weights / "epoch-005.safetensors").write_bytes(b"x" * 100)
    told = cnnviz.load("plain20_cifar", "epoch-5", "cpu").fingerprint
    monkeypatch.setenv("CNNVIZ_ASSETS", str(tmp_path / "assets"))
    landscape_training._fingerprint.clear()
    bowl(steps=5, weights=told).save(files / "plain20_cifar-epoch005.npz")
    at = opened("landscape", view="Training")
    assert errors(at) == [] and any("Left: the loss around" in m.value for m in at.markdown)
    assert not [link for link in at.get("page_link") if "weights=epoch" in link.proto.query_string]
    landscape_training._fingerprint.clear()


def test_a_chosen_point_shows_the_network_there_beside_the_unmoved_one(opened, files):
    at = opened("landscape", view="Contours", point="0,0.6,-0.4", layer="layer1.0")
    assert errors(at) == [] and any("ResNet-20 (CIFAR) at (0.60, −0.40)" in m.value for m in at.markdown)
    assert len(pictures(at)) == 4 and chosen(at, "layer") == "layer1.0"
    at.button(key="forget_point").click().run()
    assert errors(at) == [] and "point" not in at.query_params and not pictures(at)


@pytest.mark.parametrize("point", ["7,0,0", "0,nan,0", "0,1", "first", "0,1e9,0"])
def test_a_point_of_a_wrong_link_is_passed_over(opened, files, point):
    at = opened("landscape", view="Contours", point=point)
    assert errors(at) == [] and not pictures(at)


def test_without_any_file_a_surface_of_bundled_images_is_computed_at_once(opened, nothing, registered):
    at = when_built(opened("landscape", net=registered("tiny_landscape", Tiny)))
    assert errors(at) == [] and at.segmented_control(key="view").value == "Compute"
    assert kinds(at)[0] == "surface" and at.selectbox(key="against").value == landscape_data.ANSWERS
    at = opened("landscape", view="3-D")
    assert errors(at) == [] and kinds(at) == ["surface"]  # it is offered to the other views
    assert "Tiny" in catalogue.label(at.selectbox(key="left").value)


def test_the_sharpness_is_measured_when_asked_and_stands_in_the_table(opened, nothing, registered):
    when_built(opened("landscape", net=registered("tiny_sharp", Tiny)))
    at = opened("landscape", view="Sharpness")
    assert errors(at) == [] and "not measured" in str(at.table[0].value.to_dict())
    at.button(key="measure").click().run()
    at = when_built(at)
    told = str(at.table[0].value.to_dict())
    assert errors(at) == [] and "not measured" not in told and "nats" in told
    assert any("2302.07011" in m.value for m in at.markdown)


def test_a_point_of_a_median_has_no_network(opened, files):
    at = opened("landscape", view="Contours", seed="median", point="0,0.6,-0.4")
    assert errors(at) == [] and not pictures(at) and any("Choose a seed" in info.value for info in at.info)


def test_points_of_a_surface_of_other_weights_are_not_answered(opened, files):
    bowl(seed=0, weights="0" * 64).save(files / "resnet20_cifar-seed0.npz")
    (said,) = errors(opened("landscape", view="Contours", point="0,0.6,-0.4"))
    assert "other weights" in said


def test_a_network_that_fails_is_told_in_words(opened, nothing, registered):
    at = when_built(opened("landscape", **QUICK, net=registered("failing_landscape", Failing)))
    (said,) = errors(at)
    assert "Traceback" not in said and len(said) > 20


def test_a_loss_that_is_nan_at_the_centre_is_told_in_words(opened, nothing, registered):
    at = when_built(opened("landscape", **QUICK, net=registered("poisoned_landscape", Poisoned)))
    (said,) = errors(at)
    assert "not finite" in said


def test_images_without_labels_ask_for_them_or_for_the_networks_answers(opened, nothing, registered):
    at = when_built(
        opened("landscape", **QUICK, net=registered("tiny_unlabelled", Tiny), against=landscape_data.LABELS)
    )
    (said,) = errors(at)
    assert "no labels" in said and landscape_data.ANSWERS in said


def test_classes_are_matched_by_name_in_order_only_where_outputs_have_none_and_others_are_refused():
    match = partial(corpus_class_numbers, otherwise=landscape_data.OTHERWISE)
    assert match(["Dog"], ["Dog"], ["cat", "dog"], "x") == {"Dog": 1}
    assert match(["Dog"], ["sea_lion", "Dog"], ["cat", "dog", "sea lion"], "x") == {"sea_lion": 2, "Dog": 1}
    assert match(["b", "a"], ["a", "b"], ["class 0", "class 1"], "x") == {"a": 0, "b": 1}
    with pytest.raises(BadInput, match="bird is not among the 2 of the network .cat, dog.*Network's answers"):
        match(["cat", "bird", "dog"], ["cat", "bird", "dog"], ["cat", "dog"], "x")
    with pytest.raises(BadInput, match="0, 1, 2, … are not among the 10"):  # as many classes, and quite others
        match(MNIST, MNIST, CIFAR10, "digits")
    with pytest.raises(BadInput, match="no labels"):
        match(None, None, ["cat"], "x")


def test_the_folders_of_imagenet_are_in_the_order_of_its_networks_and_names_equal_but_for_case_stay_apart():
    match = partial(corpus_class_numbers, otherwise=landscape_data.OTHERWISE)
    folders = [f"n{number:08}" for number in range(1000)]
    names = [f"thing {number}" for number in range(1000)]
    assert match(folders, folders, names, "x") == {name: number for number, name in enumerate(folders)}
    with pytest.raises(BadInput, match="not among the 1000"):
        match(folders[:10], folders[:10], names, "x")
    dogs = ["Cardigan", "cardigan", "tabby"]
    assert match(["cardigan", "Cardigan"], ["cardigan", "Cardigan"], dogs, "x") == {"cardigan": 1, "Cardigan": 0}
    with pytest.raises(BadInput, match="CARDIGAN"):
        match(["CARDIGAN"], ["CARDIGAN"], dogs, "x")


def test_reading_gives_what_the_network_receives_with_the_numbers_of_the_classes(opened, registered):
    from app.session.networks import Choice, load

    network = load(Choice(registered("tiny_reading", Tiny), "random"))
    names = network.model.class_names
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    images = MemoryCorpus("three", ["a", "b", "c"], pixels, labels=[names[2], names[0], names[1]])
    found, labels = landscape_data.read(network, images, False, lambda done, total: True)
    np.testing.assert_array_equal(found, pixels)
    assert labels.tolist() == [2, 0, 1]
    _, answers = landscape_data.read(network, images, True, lambda done, total: True)
    np.testing.assert_array_equal(answers, network.model.predict(list(pixels)).argmax(1))
    assert landscape_data.read(network, images, False, lambda done, total: False) is None
