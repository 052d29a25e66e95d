"""First-layer filters: the frame stands round the chosen filter, every kind of first layer is shown."""

import numpy as np
import pytest
from app_pages import FourChannels, choose, errors, pictures, tile_of

import cnnviz


@pytest.mark.parametrize("contrast", ["Common scale", "Each filter"])
def test_the_wall_holds_the_weights_and_frames_the_filter_that_the_link_names(opened, contrast):
    at = opened("first_layer_filters", net="lenet5", unit="4", contrast=contrast)
    weights = cnnviz.load("lenet5").module.conv1.weight[:, 0].numpy()
    shown = pictures(at)["filter_wall"]
    assert shown["chosen"] == 4 and shown["code"] == "signed"  # blue below 0, white at 0, red above
    top = np.abs(weights if contrast == "Common scale" else weights[4]).max()
    assert shown["tops"][4] == pytest.approx(top)
    np.testing.assert_allclose((tile_of(shown, 4).astype(float) - 128) / 127 * top, weights[4], atol=top / 250)


def test_a_wall_of_colours_tells_the_weights_of_each_input_channel(opened):
    at = opened("first_layer_filters", net="resnet20_cifar")
    weights = next(cnnviz.load("resnet20_cifar").module.parameters()).detach().numpy()[6].transpose(1, 2, 0)
    shown = pictures(at)["filter_wall"]
    assert shown["code"] == "rgb" and shown["ends"] is None
    top = shown["tops"][6]
    np.testing.assert_allclose((tile_of(shown, 6).astype(float) - 128) / 127 * top, weights, atol=top / 250)


def test_the_caption_tells_range_and_size_of_the_chosen_kernel(opened):
    at = opened("first_layer_filters", net="lenet5", unit="2")
    weights = cnnviz.load("lenet5").module.conv1.weight[2]
    (told,) = [c.value for c in at.caption if "1 input channel;" in c.value]
    assert "5×5" in told and f"{weights.min():.3f}" in told and f"{weights.max():.3f}" in told and "White is 0" in told


def test_a_channel_beyond_the_layer_falls_back(opened):
    at = opened("first_layer_filters", net="lenet5", unit="6")
    assert errors(at) == []
    assert at.number_input(key="unit").value == 0 and "unit" not in at.query_params


def test_contrast_and_input_channel_change_the_wall_and_the_url(opened):
    at = opened("first_layer_filters", net="resnet20_cifar", weights="random")
    common = pictures(at)["filter_wall"]["src"]
    at.selectbox(key="input_channel").select("Green").run()
    green = pictures(at)["filter_wall"]["src"]
    at.segmented_control(key="contrast").set_value("Each filter").run()
    each = pictures(at)["filter_wall"]["src"]
    assert len({common, green, each}) == 3
    assert at.query_params["input_channel"] == "Green" and at.query_params["contrast"] == "Each filter"
    again = opened("first_layer_filters", **at.query_params)
    assert pictures(again)["filter_wall"]["src"] == each


def test_a_four_channel_layer_offers_each_channel_by_number(opened, registered):
    at = opened("first_layer_filters", net=registered("four", FourChannels, 4))
    assert at.selectbox(key="input_channel").options == ["All", "Channel 0", "Channel 1", "Channel 2", "Channel 3"]
    at.selectbox(key="input_channel").select("Channel 3").run()
    assert errors(at) == [] and "filter_wall" in pictures(at)


def test_a_one_channel_network_offers_no_other_channel(opened):
    at = opened("first_layer_filters", net="lenet5")
    assert "input_channel" not in [box.key for box in at.selectbox]


def test_the_weights_of_an_epoch_can_be_chosen_and_show_its_filters(opened):
    at = opened("first_layer_filters", net="plain20_cifar", weights="epoch-0")
    assert not at.exception and not at.error
    box = at.selectbox(key="weights")
    assert box.value == "epoch-0" and {"before training", "after 5 epochs", "after 50 epochs"} <= set(box.options)
    assert any("as they were before training" in caption.value for caption in at.caption)
    assert "random weights" in at.title[0].value  # nothing is learned yet
    at = box.select("epoch-25").run()
    assert any("after 25 epochs" in caption.value for caption in at.caption) and not at.exception
    assert "random weights" not in at.title[0].value
    at = choose(at, "net", "lenet5")
    assert at.selectbox(key="weights").value == "bundled" and not at.exception and not at.error
