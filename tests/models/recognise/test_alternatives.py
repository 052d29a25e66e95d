"""A chain beside itself with other activations and kinds of pooling, on a labelled set."""

from pathlib import Path

import chain_files
import numpy as np
import pytest
import torch
from own_weights import saved

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.chains.chain import parse_chain
from cnnviz.models.chains.network import build_chain
from cnnviz.models.recognise.alternatives import compare_alternatives
from cnnviz.models.recognise.answers import list_labelled, open_labelled
from cnnviz.models.recognise.rebuild.chain_file import read_chain_file

HALF = Preprocessing((28, 28), mean=(0.5,), std=(0.5,))


@pytest.fixture(scope="module")
def tanh(tmp_path_factory) -> tuple[Path, dict]:
    path, state = tmp_path_factory.mktemp("tanh") / "tanh.pth", chain_files.trained()
    path.write_bytes(saved(state))
    return path, state


def test_the_network_s_own_activation_and_pooling_answer_best(tanh):
    path, state = tanh
    labelled = open_labelled("drawn digits", (1, 28, 28), 10)
    trials = compare_alternatives(path, parse_chain(chain_files.NATURAL), {"half": HALF}, labelled)
    assert {(t.activation, t.pooling) for t in trials} == {
        (a, p) for a in ("relu", "tanh", "sigmoid") for p in ("max", "avg")
    }
    assert trials[0].chain.name == chain_files.NATURAL
    best = max(trials, key=lambda trial: trial.accuracy)
    assert best.chain.name == chain_files.TANH and best.accuracy > 0.7
    module = build_chain(parse_chain(chain_files.TANH)).eval()
    module.load_state_dict({key.removeprefix("net."): value for key, value in state.items()})
    pixels = labelled.images.movedim(-1, 1).float() / 255 * 2 - 1
    with torch.no_grad():
        right = (module(pixels).argmax(1) == labelled.labels).float().mean()
    assert best.images == len(labelled.labels) and np.isclose(best.accuracy, float(right), atol=0.002)


def test_a_set_is_offered_only_where_it_fits():
    assert "drawn digits" in list_labelled((1, 28, 28), 10)
    assert list_labelled((1, 28, 28), 47) == list_labelled((3, 224, 224), 10) == []
    with pytest.raises(BadInput, match="No labelled set"):
        open_labelled("drawn digits", (3, 32, 32), 10)


def test_a_file_is_examined_for_its_chains_and_its_layers(tanh):
    found = read_chain_file(tanh[0])
    assert found.solutions[0].chain.name == chain_files.NATURAL and found.features == (144, 30)
    assert "2 convolutions, 2 linear layers, 1 input channel, 10 classes" in found.sentence


def test_a_file_that_is_no_chain_comes_with_the_skeleton_of_a_plugin(tmp_path):
    (tmp_path / "residual.pth").write_bytes(chain_files.residual())
    found = read_chain_file(tmp_path / "residual.pth")
    assert found.solutions == () and "not a chain, since" in found.sentence
    compile(found.skeleton, "my_net.py", "exec")
    assert found.skeleton.count("nn.Conv2d(") == 4 and "nn.Linear(11, num_classes)" in found.skeleton
