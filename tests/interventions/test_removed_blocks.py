import pytest
import torch
from nets import hooks_left, images
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.interventions.removed_blocks import find_branch_end, remove_blocks
from cnnviz.models.families.residual import BasicBlock, Bottleneck, no_shortcut, option_a, option_b


def chain(shortcut) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), BasicBlock(4, 4, 1, shortcut), BasicBlock(4, 8, 2, shortcut)
    ).eval()


def without(net: nn.Module, batch: Tensor, *names: str) -> Tensor:
    with torch.no_grad(), remove_blocks(net, names):
        return net(batch)


@pytest.mark.parametrize("shortcut", [option_a, option_b])
def test_a_residual_block_without_its_branch_is_its_shortcut(shortcut):
    net, batch = chain(shortcut), images(2)
    with torch.no_grad():
        entering = net[1](net[0](batch))
        middle = net[2](entering)
        assert torch.equal(without(net, batch, "2"), net[3](entering))  # the identity: nothing is rounded
        assert torch.equal(without(net, batch, "3"), net[3].skip(middle).relu())
        assert torch.equal(without(net, batch, "2", "3"), net[3].skip(entering).relu())
        assert torch.equal(without(net, batch), net[3](middle))
    assert not hooks_left(net)


def test_a_plain_block_is_skipped_and_one_that_changes_the_shape_is_refused_in_words():
    net, batch = chain(no_shortcut), images(1)
    with torch.no_grad():
        expected = net[3](net[1](net[0](batch)))
    assert torch.equal(without(net, batch, "2"), expected)
    with pytest.raises(BadInput, match=r"'3' makes \(8, 4, 4\) out of \(4, 8, 8\)"):
        without(net, batch, "3")
    assert not hooks_left(net)


def test_a_block_that_writes_into_its_input_hands_on_what_it_was_given():
    net = nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1)))
    batch = images(1)
    assert torch.equal(without(net, batch.clone(), "1"), batch)


def test_the_end_of_a_branch_is_known_of_blocks_with_a_shortcut_alone():
    assert find_branch_end(BasicBlock(4, 4)) == "bn2" and find_branch_end(Bottleneck(8, 8)) == "bn3"
    assert find_branch_end(BasicBlock(4, 4, 1, no_shortcut)) is None and find_branch_end(nn.Conv2d(3, 3, 1)) is None
