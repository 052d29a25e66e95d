"""The study of dense against convolutional networks: the same images for both, moved ones too, and what is kept."""

import numpy as np
import pytest
import torch

from cnnviz.errors import BadInput, UnknownName
from cnnviz.studies.learning.efficiency import (
    SHIFT,
    EfficiencyStudy,
    bundled_efficiency,
    describe_efficiency,
    draw_images,
    empty_study,
    measure_accuracy,
    move_images,
    run_efficiency,
)


def bars(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ten classes of images of 28×28: a bright row at the place of the class, with noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 10
    images = 0.1 * torch.randn(count, 1, 28, 28, generator=generator)
    images[torch.arange(count), 0, 2 * labels + 4] += 2
    return images, labels


def test_a_larger_sample_holds_the_smaller_one_and_has_equally_many_of_each_class():
    labels = np.arange(200) % 10
    small, large = draw_images(labels, 2, 0), draw_images(labels, 7, 0)
    assert set(small) < set(large) and np.bincount(labels[large]).tolist() == [7] * 10
    assert set(draw_images(labels, 2, 1)) != set(small)
    with pytest.raises(BadInput, match="Class 0 has 20 images; 21"):
        draw_images(labels, 21, 0)


def test_moved_images_are_the_images_at_another_place():
    images = torch.zeros(40, 1, 12, 12)
    images[:, 0, 6, 6] = 1
    moved = move_images(images, 0)
    places = moved.flatten(1).argmax(1)
    rows, cols = places // 12 - 6, places % 12 - 6
    assert moved.sum() == 40 and {int(rows.max()), int(cols.max())} == {SHIFT}
    assert {int(rows.min()), int(cols.min())} == {-SHIFT}


def test_only_what_is_missing_is_trained_and_the_file_keeps_it(tmp_path):
    study = empty_study(("mlp",), (1, 4), (0,), {"recipe": {}})
    assert study.parameters == (784 * 256 + 256 + 256 * 10 + 10,)
    study.accuracy["mlp"][:, 0, 0] = 0.125
    seen = []
    run_efficiency(study, bars(60, 0), bars(30, 1), lambda *told: seen.append(told), steps=30)
    assert seen == [("mlp", 0, 4)] and study.accuracy["mlp"][0, 0, 0] == 0.125
    usual, moved = study.accuracy["mlp"][:, 0, 1]
    assert usual > 0.9 > moved  # another row is another class: nothing helps there
    study.save(tmp_path / "study.json")
    kept = EfficiencyStudy.load(tmp_path / "study.json")
    assert np.allclose(kept.accuracy["mlp"], study.accuracy["mlp"], atol=1e-5) and kept.counts == (1, 4)
    (line,) = describe_efficiency(kept)
    assert line.startswith("mlp (203,530 parameters): 12.5% from 1 of each class")
    (tmp_path / "study.json").write_text('{"study": "other"}')
    with pytest.raises(BadInput, match="no study of efficiency"):
        EfficiencyStudy.load(tmp_path / "study.json")
    with pytest.raises(UnknownName):
        empty_study(("nothing",), (1,), (0,), {})


def test_accuracy_is_the_share_of_right_answers():
    always = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    torch.nn.init.zeros_(always[1].weight)
    always[1].bias.data = torch.eye(10)[3]
    images, labels = bars(1000, 0)
    assert measure_accuracy(always, images, labels) == 0.1


def test_the_bundled_study_shows_that_convolutions_need_fewer_images_with_fewer_parameters():
    study = bundled_efficiency()
    assert study is not None and study.networks == ("mlp", "lenet5") and len(study.seeds) == 5
    dense, conv = (study.accuracy[name].mean(1) for name in study.networks)
    assert study.parameters == (203_530, 61_706) and not np.isnan([dense, conv]).any()
    few = [study.counts.index(count) for count in (10, 30, 100, 300)]
    assert (conv[0, few] > dense[0, few]).all() and (conv[1, few] > dense[1, few]).all()
    assert (conv[1] - dense[1])[few].min() > 0.02
