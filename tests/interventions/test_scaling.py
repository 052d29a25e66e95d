import pytest
import torch
from nets import Functional, hooks_left, images
from torch import nn

from cnnviz.errors import BadInput, UnknownName
from cnnviz.interventions.scaling import scale_outputs

NET = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()


def test_each_image_gets_its_own_factor_and_the_network_is_as_before():
    batch, factors = images(2), torch.tensor([[[[0.0]]], [[[2.0]]]])
    with torch.no_grad(), scale_outputs(NET, {"0": factors, "3": 0.5}):
        found = NET(batch)
    with torch.no_grad():
        maps = NET[0](batch)
        expected = 0.5 * NET[3]((maps * factors).relu().flatten(1))
    torch.testing.assert_close(found, expected)
    assert not hooks_left(NET)


def test_a_factor_of_zero_gives_zero_whatever_the_layer_made():
    broken = nn.Sequential(Functional(lambda _self, x: x / 0))
    with scale_outputs(broken, {"0": 0.0}):
        assert broken(images(1)).eq(0).all()


def test_what_does_not_fit_is_refused_in_words_and_no_hook_is_left():
    with pytest.raises(BadInput, match=r"\(5, 1, 1\) beside the output \(1, 4, 6, 6\)"):
        with torch.no_grad(), scale_outputs(NET, {"0": torch.ones(5, 1, 1)}):
            NET(images(1))
    with pytest.raises(UnknownName), scale_outputs(NET, {"9": 0.0}):
        pass
    pair = nn.Sequential(Functional(lambda _self, x: x))
    pair[0].out = Functional(lambda _self, x: x)
    pair[0].forward = lambda x: (x, x)
    with pytest.raises(BadInput, match="no single tensor"), scale_outputs(pair, {"0": 0.0}):
        pair(images(1))
    assert not hooks_left(NET) and not hooks_left(pair)
