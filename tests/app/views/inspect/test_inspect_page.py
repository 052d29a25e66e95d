"""The page "Inspect your image": every view, networks out of the ordinary, and what goes wrong in words."""

import io
import json
from typing import Any

import numpy as np
import pytest
from app_jobs import when_built
from app_pages import Failing, FourChannels, chosen, errors, image_of
from PIL import Image
from torch import nn

from app.session import uploads
from cnnviz.attribution.attribute import attribute

VIEWS = ["Answer", "Attribution", "Preferred input", "Occlusion", "Sanity check", "Neighbours", "Gallery"]


class Small(nn.Sequential):
    """(N, 3, 16, 16) → logits."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(320, num_classes),
        )


class OneOutput(nn.Sequential):
    """(N, 3, 16, 16) → one logit, whatever is asked."""

    def __init__(self, num_classes: int = 1) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))


def pictures(at: Any) -> dict[str, dict[str, Any]]:
    return {shown.key: json.loads(shown.proto.json) for shown in at.get("bidi_component") if shown.proto.json}


def words(picture: dict[str, Any]) -> list[str]:
    return [label["text"] for label in picture["labels"]]


def said(at: Any) -> str:
    return " ".join(m.value for m in [*at.markdown, *at.caption, *at.info])


def upload(seed: int) -> tuple[str, bytes, str]:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8)).save(buffer, "PNG")
    return f"{seed}.png", buffer.getvalue(), "image/png"


def test_it_opens_on_the_answer_with_four_attributions_and_the_loss_of_the_label(opened):
    at = when_built(opened("inspect"))
    assert errors(at) == [] and at.query_params == {}
    shown = pictures(at)
    assert {"inspect_photo", "inspect_bars", "inspect_quick"} <= shown.keys()
    texts = words(shown["inspect_quick"])
    assert {"Saliency", "Grad-CAM", "Guided backprop", "Deconvolution"} <= set(texts) and "being computed" not in texts
    assert "Cross-entropy for the label **cat**" in said(at) and "rank 1 of 10" in said(at)


def test_a_chosen_class_is_in_the_link_the_bars_and_the_loss(opened):
    at = opened("inspect", net="lenet5", **{"class": "5"})
    assert errors(at) == [] and at.selectbox(key="class").value == 5 and "Cross-entropy for the label **5**" in said(at)
    at.selectbox(key="class").set_value(-1).run()
    assert errors(at) == [] and "class" not in at.query_params and "label **3**" in said(at)


def test_all_attributions_come_side_by_side_with_their_times_and_the_completeness_error(opened, registered):
    at = when_built(opened("inspect", net=registered("inspect_small", Small), view="Attribution"))
    assert errors(at) == []
    texts = words(pictures(at)["inspect_grid"])
    assert {"Integrated gradients", "Occlusion"} <= set(texts) and "being computed" not in texts
    assert sum(text.endswith((" ms", " s")) for text in texts) == 6 and "Completeness error" in said(at)
    before = pictures(at)["inspect_grid"]["src"]
    at.slider(key="opacity").set_value(100).run()
    assert at.query_params["opacity"] == "100" and pictures(at)["inspect_grid"]["src"] != before


def test_several_images_have_a_row_each_and_are_in_the_link(opened, registered):
    net = registered("inspect_several", Small)
    at = when_built(opened("inspect", net=net, view="Attribution", also="coffee,nobody"))
    assert errors(at) == [] and list(at.multiselect(key="also").value) == ["coffee"]
    assert len([text for text in words(pictures(at)["inspect_grid"]) if text.endswith((" ms", " s"))]) == 12
    at.multiselect(key="also").set_value(["coffee", "rocket"]).run()
    assert at.query_params["also"] == "coffee,rocket"
    at = when_built(at)
    assert errors(at) == [] and image_of(pictures(at)["inspect_grid"]).height > 3 * 96


def test_uploads_stand_beside_the_image_and_a_broken_one_is_told(opened, registered):
    at = opened("inspect", net=registered("inspect_uploads", Small), view="Attribution")
    place = next(one for one in at.get("file_uploader") if one.key == "inspect_uploads")
    place.set_value([upload(1), ("2.png", b"\x89PNG and no more", "image/png"), upload(3)]).run()
    (told,) = errors(at)
    assert told.startswith("2.png") and at.query_params["also"].count("upload-") == 2
    assert errors(when_built(at.run())) == []


def test_an_upload_of_a_link_stays_beside_the_image_when_another_joins_it(opened, registered):
    name = uploads.store_photo(upload(5)[1])
    at = opened("inspect", net=registered("inspect_linked", Small), view="Attribution", also=f"coffee,{name}")
    assert list(at.multiselect(key="also").value) == ["coffee", name]
    at.multiselect(key="also").set_value(["coffee", name, "rocket"]).run()
    assert errors(at) == [] and at.query_params["also"] in (f"coffee,{name},rocket", [f"coffee,{name},rocket"])
    at.multiselect(key="also").set_value([name]).run()
    assert errors(at) == [] and list(at.multiselect(key="also").value) == [name]


def test_occlusion_has_three_maps_and_a_square_that_can_be_put_elsewhere(opened, registered):
    net = registered("inspect_occlusion", Small)
    at = when_built(opened("inspect", net=net, view="Occlusion", square="5", step="4"))
    assert errors(at) == []
    shown = pictures(at)["occluded"]
    assert {"The square", "P(class)", "Most probable class", "4 · "} <= {text[:19] for text in words(shown)} | {
        text[:4] for text in words(shown)
    }
    assert len(shown["boxes"]) == 4 and "of the 16 places" in said(at)
    at = when_built(opened("inspect", net=net, view="Occlusion", square="5", step="4", place="3,0"))
    assert "at rows 11 to 15, columns 0 to 3" in said(at) and at.query_params["place"] == "3,0"
    at = when_built(opened("inspect", net=net, view="Occlusion", step="4", place="9,north"))
    assert errors(at) == [] and "place" not in at.query_params


def test_trained_and_random_weights_stand_above_each_other(opened):
    at = when_built(when_built(opened("inspect", net="lenet5", view="Sanity check")))
    assert errors(at) == []
    texts = words(pictures(at)["inspect_sanity"])
    assert {"Trained", "Random weights"} <= set(texts) and sum(text.startswith("ρ = ") for text in texts) == 5
    assert "cascade" in pictures(at)


def test_neighbours_are_found_and_kept_on_disk(opened, cache):
    at = when_built(opened("inspect", net="lenet5", view="Neighbours", images="200"))
    assert errors(at) == [] and "carry the label **3**" in said(at)
    assert len(words(pictures(at)["inspect_near"])) == 12
    assert len(list((cache / "embeddings").glob("*.npz"))) == 1


def test_a_network_without_maps_says_why_it_has_no_grad_cam(opened):
    at = when_built(opened("inspect", net="mlp", view="Attribution"))
    assert errors(at) == [] and "without convolutions nothing says where" in said(at)
    assert sum(text.endswith((" ms", " s")) for text in words(pictures(at)["inspect_grid"])) == 5


def every_view(at: Any) -> Any:
    """The page in each of its views, one after another."""
    for view in VIEWS:
        at.query_params["view"] = view
        yield when_built(at.run())


@pytest.mark.parametrize("builder, channels", [(OneOutput, 3), (FourChannels, 4)])
def test_one_output_or_four_channels_are_no_hindrance_in_any_view(opened, registered, builder, channels):
    net = registered(f"inspect_{builder.__name__}".lower(), builder, channels)
    for at in every_view(opened("inspect", net=net, images="200", step="4")):
        assert errors(at) == []


def test_a_network_that_fails_is_told_in_words_in_every_view(opened, registered):
    for at in every_view(opened("inspect", net=registered("inspect_failing", Failing))):
        (told,) = errors(at)
        assert "Traceback" not in told and len(told) > 20


def test_cancelled_work_goes_on_when_asked(opened, registered):
    at = opened("inspect", net=registered("inspect_cancelled", Small), view="Occlusion", step="1")
    for button in [b for b in at.button if b.label == "Cancel"]:
        button.click().run()
    at = when_built(at)
    for button in [b for b in at.button if b.label == "Compute the rest"]:
        at = when_built(button.click().run())
    assert errors(at) == [] and "of the 256 places" in said(at)


def test_an_image_that_is_gone_gives_way_to_a_sample(opened):
    at = when_built(opened("inspect", image="upload-0123456789abcdef"))
    assert errors(at) == [] and chosen(at, "image") == "chelsea" and "inspect_quick" in pictures(at)


@pytest.mark.parametrize("label", ["99", "cat"])
def test_choices_of_a_wrong_link_fall_back(opened, label):
    at = when_built(opened("inspect", net="lenet5", opacity="900", view="Nothing", **{"class": label}))
    assert errors(at) == [] and "inspect_quick" in pictures(at) and at.query_params == {"net": "lenet5"}


def test_the_page_computes_what_the_library_computes(opened):
    from app.session import networks, shared
    from app.session.networks import Choice
    from app.views.inspect.results import Subject, wanted

    opened("inspect", net="lenet5")
    choice = Choice("lenet5", "bundled")
    network = networks.load(choice)
    one = wanted(Subject(network, "digit-3", 5), "guided_backprop")
    expected = attribute(network.model, shared.photo("digit-3"), 5, "guided_backprop")
    np.testing.assert_allclose(one.make(None).values, expected.map, rtol=1e-4, atol=1e-7)


def test_the_gallery_judges_digits_by_their_labels_and_draws_others_by_another_seed(opened):
    at = opened("inspect", net="lenet5", view="Gallery", shown="8")
    drawn = pictures(at)["inspect_gallery"]
    assert errors(at) == [] and "of 8 images are answered rightly" in said(at)
    assert sum(text.endswith(" %") for text in words(drawn)) == 40
    other = pictures(opened("inspect", net="lenet5", view="Gallery", shown="8", gallery="1"))["inspect_gallery"]
    assert words(other) != words(drawn)
