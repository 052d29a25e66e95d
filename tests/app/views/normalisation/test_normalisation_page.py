"""The page of normalisation: every view opens and says something at once, for networks with and without batch norm."""

import json
from typing import Any

import pytest
from app_pages import Failing, chosen, errors, traces
from torch import nn

VIEWS = {
    "Training and evaluation": "company_answers",
    "A channel": "channel_histograms",
    "Axes": "norm_cubes",
    "Memory": "memory_layers",
    "Local response": "response_bars",
    "Preprocessing": "preprocessing_means",
    "Feature scaling": "scaling_bowls",
}


class GrayVectors(nn.Sequential):
    """(N, 1, 16, 16) → logits; batch norm behind a fully connected layer alone, and without a scale."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(1, 4, 3, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(196, 6),
            nn.BatchNorm1d(6, affine=False),
            nn.Linear(6, num_classes),
        )


class NoAverages(nn.Sequential):
    """(N, 3, 16, 16) → logits; a batch norm that keeps no running averages."""

    def __init__(self, num_classes: int = 4) -> None:
        norm = nn.BatchNorm2d(4, track_running_stats=False)
        super().__init__(nn.Conv2d(3, 4, 3, 2), norm, nn.ReLU(), nn.Flatten(), nn.Linear(196, num_classes))


class Tokens(nn.Module):
    """(N, 3, 16, 16) → logits; no batch norm, and layers whose outputs are tokens (N, T, C)."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.cut, self.norm, self.head = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), nn.Linear(8, num_classes)

    def forward(self, x: Any) -> Any:
        return self.head(self.norm(self.cut(x).flatten(2).transpose(1, 2)).mean(1))


def shown(at: Any) -> dict[str, dict[str, Any]]:
    """{key: data} of pictures, drawings and figures."""
    return {one.key: json.loads(one.proto.json) for one in at.get("bidi_component") if one.proto.json}


def said(at: Any) -> str:
    return " ".join(one.value for one in [*at.markdown, *at.caption, *at.info])


def svg(at: Any) -> str:
    return " ".join(part["svg"] for data in shown(at).values() for part in data.get("parts", []))


def test_it_opens_on_a_cat_that_its_company_turns_into_a_deer_and_a_frog(opened):
    at = opened("normalisation")
    assert errors(at) == [] and at.query_params == {}
    assert chosen(at, "net") == "resnet20_cifar" and chosen(at, "image") == "chelsea"
    assert "In evaluation the answer is **cat 100 %**" in said(at)
    assert "with 1 companion **deer 71 %**, with 3 companions **deer 39 %**, with 7 companions **frog 74 %**" in said(
        at
    )
    cat = traces(shown(at)["company_answers"])[0]
    assert cat["name"] == "cat" and cat["x"] == ["evaluation", *(f"N = {n}" for n in (1, 2, 4, 8, 16, 32))]
    at.number_input(key="batchdraw").set_value(0).run()
    assert errors(at) == [] and at.query_params["batchdraw"] == "0" and "the same class wins" in said(at)


def test_networks_without_batch_norm_say_so_and_offer_one(opened):
    for view in ("Training and evaluation", "A channel"):
        at = opened("normalisation", net="lenet5", view=view)
        assert errors(at) == [] and "LeNet-5 has no batch norm." in said(at)
    at.button(key="offer_resnet20_cifar").click().run()
    assert errors(at) == [] and chosen(at, "net") == "resnet20_cifar" and "channel_histograms" in shown(at)


def test_gamma_and_beta_of_the_identity_leave_nothing_and_by_hand_they_have_sliders(opened):
    at = opened("normalisation", view="A channel", affine="Identity", layer="layer2.0.bn1", unit="3")
    assert errors(at) == [] and "`layer2.0.bn1 · channel 3`: 16 images × 256 places" in said(at)
    enters, _normal, leaves, outline = traces(shown(at)["channel_histograms"])
    assert leaves["y"] == outline["y"] and sum(enters["y"]) == pytest.approx(100)
    assert at.table[0].value["statistics"].tolist()[:2] == ["batch", "running"]
    at = opened("normalisation", view="A channel", affine="By hand", normby="Running")
    at.select_slider(key="gamma").set_value(2.0).run()
    assert errors(at) == [] and at.query_params["gamma"] == "2.0"


def test_the_axes_of_maps_and_of_vectors_have_the_numbers_of_the_layer(opened):
    at = opened("normalisation", view="Axes", layer="layer2.0", batchsize="8")
    assert errors(at) == []
    for text in ("32 means", "of 2,048 values each", "8 means", "of 8,192 values each", "256 means", "128 means"):
        assert f">{text}<" in svg(at)
    assert [line["name"] for line in traces(shown(at)["norm_means"])][:2] == ["Batch norm", "Layer norm"]
    at = opened("normalisation", view="Axes", layer="layer2.0", batchsize="8", form="Vectors (N, D)")
    assert ">averages over N<" in svg(at) and ">of 8 values each<" in svg(at) and ">of 32 values each<" in svg(at)
    assert "Instance norm" not in svg(at)


def test_memory_grows_with_the_batch_and_says_what_batch_norm_needs(opened):
    at = opened("normalisation", view="Memory")
    assert errors(at) == [] and "A batch of 32 holds **48.6 MB**" in said(at) and "19 batch norms" in said(at)
    at.select_slider(key="batchsize").set_value(64).run()
    assert "A batch of 64 holds **97.3 MB**" in said(at) and at.query_params["batchsize"] == "64"
    assert "no batch norm: its gradients can be summed" in said(opened("normalisation", view="Memory", net="lenet5"))


def test_local_response_names_the_neighbours_and_pytorchs_other_value(opened):
    at = opened("normalisation", view="Local response", layer="conv1", unit="0", lrn_n="5", lrn_alpha="1.0")
    assert errors(at) == [] and "channels 0 to 2 enter. PyTorch divides α by n" in said(at)
    before, after = traces(shown(at)["response_bars"])
    assert all(0 <= b <= a for a, b in zip(before["y"], after["y"], strict=True)) and after["y"] != before["y"]


def test_preprocessing_counts_the_numbers_and_says_where_they_come_from(opened):
    at = opened("normalisation", view="Preprocessing")
    assert errors(at) == [] and "3,072 numbers, as AlexNet" in said(at) and "64 sample images" in said(at)
    gray = opened("normalisation", view="Preprocessing", net="lenet5")
    assert "784 numbers" in said(gray) and "1 number (" in said(gray) and "64 drawn digits" in said(gray)


def test_feature_scaling_says_condition_and_largest_rate_and_opens_without_a_network(opened):
    at = opened("normalisation", view="Feature scaling", descent="110", featurespread="10")
    assert errors(at) == [] and "condition number" in said(at) and "largest stable rate" in said(at)
    assert len(traces(shown(at)["scaling_bowls"])) == 6 and "net_cards" not in shown(at)


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "Feature scaling"])
def test_every_view_takes_one_channel_vectors_and_tokens(opened, registered, view):
    name = registered(f"gray_vectors_{len(view)}", GrayVectors, 1)
    at = opened("normalisation", net=name, view=view, batchsize="2")
    assert errors(at) == [] and VIEWS[view] in shown(at)
    if view == "Training and evaluation":
        assert "A batch of 1: a layer has a single value a channel" in said(at)
    if view == "A channel":
        assert "2 images × 1 place." in said(at)
        one = opened("normalisation", net=name, view=view, batchsize="1")
        assert errors(one) == [] and "a single value has no variance" in said(one)
    if view in ("Preprocessing", "Training and evaluation"):
        return
    at = opened("normalisation", net=registered(f"tokens_{len(view)}", Tokens), view=view)
    assert errors(at) == [] and (VIEWS[view] in shown(at) or "has no batch norm" in said(at))


def test_a_norm_without_running_averages_says_so(opened, registered):
    at = opened("normalisation", net=registered("no_averages", NoAverages), view="A channel", normby="Running")
    assert errors(at) == [] and "keeps no running statistics" in said(at)
    (told,) = errors(opened("normalisation", net="no_averages"))
    assert "answers an image otherwise beside others" in told


@pytest.mark.parametrize("view", ["Training and evaluation", "Memory"])
def test_a_network_that_fails_is_told_in_words(opened, registered, view):
    (told,) = errors(opened("normalisation", net=registered(f"failing_norm_{len(view)}", Failing), view=view))
    assert "Traceback" not in told and len(told) > 20


@pytest.mark.parametrize("link", [{"view": "x", "layer": "bn9"}, {"batchdraw": "1e9", "image": "none"}])
def test_choices_of_a_wrong_link_open_the_page_as_it_is(opened, link):
    at = opened("normalisation", **link)
    assert errors(at) == [] and "deer 71 %" in said(at)
