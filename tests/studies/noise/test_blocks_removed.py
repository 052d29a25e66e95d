import json
from functools import partial

import numpy as np
import pytest
import torch
from nets import hooks_left, images, tiny
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.models.bundled import assets
from cnnviz.models.families.cifar_resnet import CifarResNet
from cnnviz.models.families.residual import BasicBlock, no_shortcut
from cnnviz.models.families.stochastic_depth import StochasticDepth
from cnnviz.studies.noise.blocks import (
    draw_depths,
    expected_depth,
    list_branches,
    list_removable,
    look_at_removed,
    predict_without,
    remove_each,
)
from cnnviz.studies.noise.recorded import FILE, read_removed, write_removed


def small(block=BasicBlock):
    torch.manual_seed(0)
    return tiny(CifarResNet(4, 8, block), (16, 16))


def test_what_can_be_taken_out_of_residual_and_plain_networks():
    assert list_removable(small()) == {f"layer{n}.0": "branch" for n in (1, 2, 3)}
    plain = small(partial(BasicBlock, shortcut=no_shortcut))
    assert list_removable(plain) == {"layer1.0": "whole", "layer2.0": "", "layer3.0": ""}
    assert list_branches(small()) == {f"layer{n}.0": f"layer{n}.0.bn2" for n in (1, 2, 3)} and not list_branches(plain)


def test_a_removed_block_with_an_identity_gives_exactly_what_enters_it():
    model = small()
    found = look_at_removed(model, images(1, (16, 16)), "layer1.0")
    assert found.difference == 0 and np.abs(found.before - found.given).max() > 0.01
    assert np.isnan(look_at_removed(model, images(1, (16, 16)), "layer2.0").difference)


def test_the_answers_kept_are_those_of_a_slow_loop():
    model, batch = small(partial(BasicBlock, shortcut=no_shortcut)), images(12, (16, 16))
    found = remove_each(model, batch)
    net, same = model.module, 0
    for one in batch:
        with torch.no_grad():
            x = net.relu(net.bn1(net.conv1(one[None])))
            rest = net.fc(net.avgpool(net.layer3(net.layer2(x))).flatten(1))
            same += int(rest.argmax() == net(one[None]).argmax())
    assert found.kept[0] == same / 12 and np.isnan(found.kept[1:]).all() and found.images == 12
    assert found.kinds == ("whole", "", "") and not hooks_left(net)
    with pytest.raises(BadInput, match="no block that keeps its shape"):
        remove_each(tiny(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 2))), images(2))


def test_the_expected_depth_is_the_published_one():
    assert expected_depth(54, 0.5) == pytest.approx(40.25) and expected_depth(600, 0.5) == pytest.approx(449.75)
    for units in (1, 9, 27):
        assert expected_depth(units, 0.5) == pytest.approx((3 * units - 1) / 4)


def test_a_draw_is_the_network_without_its_dropped_blocks_and_the_scaled_pass_multiplies_by_p():
    model, image = small(), images(1, (16, 16))
    found = draw_depths(model, image, 0.4, 20, seed=1)
    assert found.survival == pytest.approx([0.8, 0.6, 0.4])
    for number in (0, 5, 19):
        gone = [name for name, runs in zip(found.blocks, found.alive[number], strict=True) if not runs]
        assert found.probabilities[number] == pytest.approx(predict_without(model, image, gone)[0], abs=1e-5)
    net = model.module
    with torch.no_grad():
        x = net.relu(net.bn1(net.conv1(image)))
        for p, stage in zip(found.survival.tolist(), (net.layer1, net.layer2, net.layer3), strict=True):
            x = (p * stage[0].branch(x) + stage[0].skip(x)).relu()
        expected = net.fc(net.avgpool(x).flatten(1)).softmax(1)[0].numpy()
    assert found.scaled == pytest.approx(expected, abs=1e-5)
    assert found.whole == pytest.approx(model.predict(image)[0], abs=1e-5)
    assert draw_depths(model, image, 0.4, 400).alive.mean(0) == pytest.approx(found.survival, abs=0.1)
    with pytest.raises(BadInput, match="no residual branch"):
        draw_depths(small(partial(BasicBlock, shortcut=no_shortcut)), image)


def test_a_network_built_for_stochastic_depth_is_scaled_once():
    torch.manual_seed(0)
    model, image = tiny(StochasticDepth(4, 8), (16, 16)), images(1, (16, 16))
    found = draw_depths(model, image, 0.5, 1)
    assert found.scaled == pytest.approx(model.predict(image)[0], abs=1e-5)  # its evaluation is that pass


def test_recorded_shares_are_found_for_the_very_network_alone(tmp_path):
    model = small()
    found = remove_each(model, images(4, (16, 16)))
    write_removed({model.fingerprint: ("small", found)}, tmp_path / "found.json")
    again = read_removed(model, tmp_path / "found.json")
    assert again is not None and again.blocks == found.blocks and again.kept == pytest.approx(found.kept, abs=1e-6)
    torch.nn.init.zeros_(model.module.fc.weight)
    assert read_removed(model, tmp_path / "found.json") is None and read_removed(model, tmp_path / "gone.json") is None
    (tmp_path / "found.json").write_text("[]")
    assert read_removed(model, tmp_path / "found.json") is None


def test_what_comes_along_is_what_is_measured():
    entries = {one["network"]: one for one in json.loads((assets() / "studies" / FILE).read_text()).values()}
    assert set(entries) == {"resnet20_cifar", "plain20_cifar", "resnet56_cifar", "plain56_cifar"}
    model, corpus = cnnviz.load("resnet20_cifar", "bundled", "cpu"), cnnviz.corpus("samples")
    found = read_removed(model)
    assert found is not None and found.images == 64
    pictures = [corpus.image(number) for number in range(64)]
    whole, without = (predict_without(model, pictures, gone).argmax(1) for gone in ([], ["layer2.0"]))
    share = found.kept[found.blocks.index("layer2.0")]
    assert share == pytest.approx((whole == without).mean(), abs=0.02)  # an answer on the edge may turn elsewhere
    medians = {name: np.median([s for s in one["kept"] if s is not None]) for name, one in entries.items()}
    assert medians["resnet56_cifar"] > 0.75 and medians["plain56_cifar"] < 0.25
