"""The page Backward: every view opens on something telling, says what was measured, and refuses in words."""

import json
from typing import Any

import pytest
from app_pages import errors, stop_jobs, traces
from torch import nn


class Functional(nn.Module):
    """(N, 1, 16, 16) → logits; no activation or pooling module, no batch norm, no residual block."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 3, 3, padding=1, padding_mode="circular"), nn.Linear(3, num_classes)

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x).relu().mean((2, 3)))


def shown(at: Any) -> dict[str, dict[str, Any]]:
    return {one.key: json.loads(one.proto.json) for one in at.get("bidi_component") if one.proto.json}


def svg(at: Any) -> str:
    return " ".join(part["svg"] for data in shown(at).values() for part in data.get("parts", []))


def said(at: Any) -> str:
    return " ".join(one.value for one in [*at.markdown, *at.caption, *at.info])


def until_shown(at: Any, key: str) -> Any:
    """Run until the job beside the page has ended."""
    from app.jobs import background

    for _ in range(3):
        if key in shown(at):
            return at
        for job in background._registry()[0].values():
            job._thread.join(120)
        at.run()
    assert key in shown(at), errors(at)
    return at


def test_it_opens_on_gradients_that_explode_in_the_plain_network_and_says_so(opened):
    at = until_shown(opened("backward"), "backward_flow")
    assert errors(at) == [] and at.query_params == {}
    plain, residual = traces(shown(at)["backward_flow"])
    assert len(plain["y"]) == len(residual["y"]) == 56
    assert plain["y"][0] > 100 * plain["y"][-1] and residual["y"][0] < 10 * residual["y"][-1]
    assert "plain, 56 layers" in said(at) and "-fold towards the input" in said(at)
    assert "it is not vanishing gradients that shortcuts cure" in said(at)


def test_sigmoids_vanish_and_the_gain_of_a_block_has_a_branch_and_a_shortcut(opened):
    at = until_shown(opened("backward", compare="Activation"), "backward_flow")
    assert errors(at) == [] and "**shrinking" in said(at)
    at = until_shown(opened("backward", of="Blocks", depth="20"), "backward_gains")
    assert errors(at) == [] and "median of the branch" in said(at) and "over all 9 blocks" in said(at)
    assert len(traces(shown(at)["backward_gains"])) == 6


def test_the_chosen_network_is_compared_with_its_random_twin_and_one_without_blocks_says_so(opened):
    at = until_shown(opened("backward", compare="Chosen network", net="lenet5"), "backward_flow")
    assert errors(at) == [] and "lenet5, trained" in said(at) and "lenet5, random weights" in said(at)
    at = opened("backward", compare="Chosen network", net="lenet5", of="Blocks")
    stop_jobs()
    at.run()
    assert any("no residual blocks" in told for told in [*errors(at), said(at)])


def test_activations_tell_value_slope_and_the_flat_share(opened):
    at = opened("backward", view="Activations", activation="sigmoid", x="0", slopes="10")
    assert errors(at) == [] and "f(0) = **0.5**, slope **0.25**; 10 such slopes multiply to **9.537e−07**" in said(at)
    assert at.query_params["activation"] == "sigmoid" and "The network applies tanh there" in said(at)
    at.selectbox(key="activation").select("relu").run()
    assert errors(at) == [] and "slope **0**" in said(at)


def test_the_loss_of_the_notes_is_0_2231_and_sliders_move_it(opened):
    at = opened("backward", view="Loss", scores_of="−log 0.8")
    assert errors(at) == [] and "L = −log ŷ = −log 0.8 = 0.2231" in svg(at)
    at.slider(key="z0").set_value(0.0).run()
    assert errors(at) == [] and "−log 0.2 = 1.609" in svg(at) and at.query_params["z0"] == "0.0"
    at = opened("backward", view="Loss", unit_of_output="Sigmoid")
    assert errors(at) == [] and "L = −Σ" in svg(at)


@pytest.mark.parametrize("part", ["Convolution", "As a matrix", "ReLU", "Max-pooling"])
def test_every_layer_by_hand_agrees_with_autograd(opened, part):
    at = opened("backward", view="Through a layer", part=part)
    assert errors(at) == [] and "largest difference from autograd: 0" in svg(at)


def test_a_layer_of_the_network_is_shown_with_its_maps_and_slices(opened):
    at = opened("backward", view="Through a layer", where="In the network", layer="conv2")
    assert errors(at) == [] and {"backward_maps", "backward_slices"} <= shown(at).keys()
    assert "16 filters of 6 slices each are 96 slices; backward they are 6 sets of depth 16" in said(at)


def test_a_step_by_hand_lowers_the_loss(opened):
    at = opened("backward", view="By hand")
    assert errors(at) == [] and "δ = ŷ − y = −0.1587 − 1 = **−1.159**" in said(at)
    at.slider(key="step").set_value(5).run()
    assert errors(at) == [] and at.query_params["step"] == "5" and "0.6713 at the start" in said(at)


def test_a_network_without_modules_for_a_view_is_shown_what_it_has_or_told_in_words(opened, registered):
    net = registered("functional", Functional, 1)
    at = opened("backward", view="Activations", net=net)
    assert errors(at) == [] and "the output of `conv`" in said(at)
    at = opened("backward", view="Loss", net=net)
    assert errors(at) == [] and "backward_loss" in shown(at)
    at = opened("backward", view="Through a layer", where="In the network", net=net)
    assert errors(at) == [] and "Choose another network" in said(at)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"view": "By hand", "hand_w": "1 2 3"}, "one row for each hidden unit"),
        ({"view": "By hand", "hand_x": "1 x"}, "'x', number 2"),
        ({"view": "Through a layer", "back_signal_C": "1 2 3"}, "The output has 2×2 values"),
    ],
)
def test_what_is_wrong_with_numbers_is_said_in_words(opened, query, says):
    (told,) = errors(opened("backward", **query))
    assert says in told


@pytest.mark.parametrize(
    "link", [{"x": "nan"}, {"x": "99"}, {"slopes": "-1"}, {"activation": "none"}, {"layer": "conv9"}]
)
def test_choices_of_a_wrong_link_to_the_page_fall_back(opened, link):
    at = opened("backward", view="Activations", **link)
    assert errors(at) == [] and "backward_activation" in shown(at)


@pytest.mark.parametrize(("descent", "says"), [("Batches", "noise falls as the root"), ("Learning rates", "105 %")])
def test_descent_compares_batches_or_learning_rates(opened, descent, says):
    at = opened("backward", view="Descent", steps_by=descent)
    assert errors(at) == [] and says in " ".join(part.value for part in at.markdown)
