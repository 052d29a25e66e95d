"""Home: every network and image opens it, and what cannot be used is said in words beside living pickers."""

import io
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from app_pages import Failing, FourChannels, choose, chosen, errors, image_of, pictures, turned
from PIL import Image

from app.jobs import background
from app.session import shared, uploads
from cnnviz.figures.base.encode import data_url, rgb_png
from cnnviz.models.catalogue.registry import build

PAGES = ("home", "first_layer_filters", "feature_maps", "top9")


def shown_image(at) -> Image.Image:
    """What Home says the network receives."""
    return image_of(pictures(at)["home_seen"])


def png(pixels: np.ndarray) -> bytes:
    return rgb_png(pixels)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "link", [{"net": "resnet20_cifar", "weights": "random"}, {"net": "lenet5"}], ids=lambda q: q["net"]
)
def test_every_page_opens_without_an_error(opened, page, link):
    at = opened(page, **link)
    assert errors(at) == []
    assert at.title[0].value
    assert chosen(at, "net") == link["net"]
    assert at.selectbox(key="weights").value == link.get("weights", "bundled")


@pytest.mark.parametrize("page", PAGES)
def test_a_link_with_unknown_values_opens_the_default_view_and_is_cleaned(opened, page):
    nonsense = dict(
        net="nonsense",
        weights="nonsense",
        layer="nonsense",
        unit="99999",
        row="-1",
        col="1e9",
        device="cuda:77",
        image="upload-deadbeef",
        corpus="nonsense",
        scale="nonsense",
        count="12345",
        contrast="",
        wall="0",
        rule="x",
    )
    at = opened(page, **nonsense)
    assert errors(at) == []
    assert chosen(at, "net") == "resnet20_cifar"
    assert chosen(at, "image") == "chelsea"
    assert not {"net", "weights", "image", "device"} & at.query_params.keys()
    if page == "feature_maps":
        assert not {"layer", "unit", "row", "col", "scale", "count"} & at.query_params.keys()


def test_choices_move_along_to_the_other_pages_and_back(opened):
    at = opened("feature_maps", net="lenet5", image="digit-5", layer="conv2", unit="5", row="3", col="4")
    for page in ("first_layer_filters", "top9", "home", "feature_maps"):
        turned(at, page)
        assert (chosen(at, "net"), chosen(at, "image")) == ("lenet5", "digit-5")
    assert chosen(at, "layer") == "conv2"
    assert [at.number_input(key=key).value for key in ("unit", "row", "col")] == [5, 3, 4]


def test_a_changed_choice_is_in_the_url_and_the_default_is_not(opened):
    at = opened("home")
    assert at.query_params == {}
    choose(at, "net", "lenet5")
    assert at.query_params == {"net": "lenet5"}
    choose(at, "net", "resnet20_cifar")
    assert at.query_params == {}


def test_an_unchosen_image_follows_the_network_and_a_chosen_one_stays(opened):
    at = opened("home")
    choose(at, "net", "lenet5")
    assert chosen(at, "image") == "digit-3"
    choose(at, "image", "coffee")
    choose(at, "net", "resnet20_cifar")
    assert chosen(at, "image") == "coffee"


def test_another_url_wins_over_what_the_widgets_remember(opened):
    """The browser's Back button: the same session, no widget touched, another query."""
    at = opened("feature_maps", net="lenet5", layer="conv2", unit="9")
    at.query_params.clear()
    at.query_params.update(net="lenet5", layer="conv1", unit="2")
    at.run()
    assert chosen(at, "layer") == "conv1" and at.number_input(key="unit").value == 2
    assert at.query_params == {"net": "lenet5", "layer": "conv1", "unit": "2"}


def test_an_upload_replaces_the_image_on_every_page_upright(opened, cache):
    turned_left = Image.new("RGB", (40, 24), (200, 30, 30))
    turned_left.paste((20, 40, 220), (0, 0, 20, 24))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise: the left half comes to the top
    file = io.BytesIO()
    turned_left.save(file, "JPEG", quality=95, exif=exif)
    at = opened("home")
    at.file_uploader(key="upload").upload("holiday.jpg", file.getvalue(), "image/jpeg").run()
    assert errors(at) == []
    name = chosen(at, "image")
    assert name.startswith("upload-") and at.query_params["image"] == name
    pixels = np.asarray(shown_image(at).convert("RGB")).astype(int)
    assert pixels[2, :, 2].mean() > 150 > pixels[-2, :, 2].mean()  # blue above, red below
    for page in PAGES[1:]:
        assert errors(turned(at, page)) == []
        assert chosen(at, "image") == name
    again = opened("feature_maps", image=name)  # another visitor with the copied link
    assert chosen(again, "image") == name


@pytest.mark.parametrize(
    "data",
    [b"", b"this is a letter, not a picture", png(np.zeros((9, 9, 3), np.uint8))[:40]],
    ids=["empty", "text", "truncated"],
)
def test_a_file_that_is_no_image_is_refused_in_words_and_the_view_stays(opened, data):
    at = opened("feature_maps", image="coffee")
    before = pictures(at)["map_wall"]["src"]
    at.file_uploader(key="upload").upload("photo.png", data, "image/png").run()
    (message,) = errors(at)
    assert "The view is unchanged" in message and "Traceback" not in message
    assert chosen(at, "image") == "coffee"
    assert pictures(at)["map_wall"]["src"] == before


@pytest.mark.parametrize(
    "mode, colour", [("L", 90), ("RGBA", (10, 20, 30, 128)), ("I;16", 40000), ("1", 1), ("P", 3)], ids=lambda v: str(v)
)
def test_uploads_of_every_kind_of_pixel_open(opened, mode, colour):
    file = io.BytesIO()
    Image.new(mode, (30, 50), colour).save(file, "PNG")
    at = opened("home", net="lenet5")
    at.file_uploader(key="upload").upload("x.png", file.getvalue(), "image/png").run()
    assert errors(at) == []
    assert chosen(at, "image").startswith("upload-")


def test_weights_of_one_s_own_are_recognised_chosen_and_linked(opened):
    from safetensors.torch import save

    data = save({key: value.contiguous() for key, value in build("lenet5").state_dict().items()})
    at = opened("home")
    at.file_uploader(key="own_weights_file").upload("mine.safetensors", data).run()
    at.button(key="own_use").click().run()
    assert errors(at) == []
    assert chosen(at, "net") == "lenet5"
    own = at.selectbox(key="weights").value
    assert own.startswith("file-") and own == at.query_params["weights"]
    linked = opened("first_layer_filters", net="lenet5", weights=own)
    assert errors(linked) == [] and linked.selectbox(key="weights").value == own


def test_a_weights_file_that_fits_nothing_leaves_the_network(opened, cache):
    at = opened("home")
    at.file_uploader(key="own_weights_file").upload("x.pth", b"not a checkpoint").run()
    (message,) = errors(at)
    assert "x.pth" in message and "The network is unchanged" in message
    assert not list((cache / "weights").iterdir())  # nothing of it is kept
    assert chosen(at, "net") == "resnet20_cifar" and pictures(at)


@pytest.mark.parametrize("page", PAGES)
def test_weights_that_are_gone_are_said_and_the_pickers_live(opened, page):
    at = opened(page, net="lenet5", weights="file-0123456789abcdef")
    (message,) = errors(at)
    assert "Upload the file again" in message
    at.selectbox(key="weights").select("random").run()
    assert errors(at) == []


def test_a_path_in_place_of_a_weights_name_reads_nothing(opened):
    at = opened("home", net="lenet5", weights="file-../../../etc/passwd")
    (message,) = errors(at)
    assert "no longer on this machine" in message


def test_pretrained_weights_offline_say_what_to_do_and_another_network_still_opens(opened, monkeypatch, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", f"http://127.0.0.1:{port}/weights")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for page in PAGES:
        at = opened(page, net="squeezenet1_1", weights="pretrained", image="coffee")
        if page == PAGES[0]:
            assert errors(at) == []  # nothing was tried unasked
            at.button(key="start_download").click().run()
            for job in list(background._registry()[0].values()):
                job._thread.join(30)
            at.run()
        (message,) = errors(at)
        assert "squeezenet1_1" in message and "CNNVIZ_WEIGHTS_MIRROR" in message and "Traceback" not in message
        assert chosen(at, "net") == "squeezenet1_1"
        assert "random weights" in at.title[0].value
    choose(at, "net", "lenet5")
    assert errors(at) == []
    assert chosen(at, "image") == "coffee"


@pytest.mark.parametrize("page", PAGES)
def test_a_network_that_fails_says_so_and_another_one_still_opens(opened, registered, page):
    at = opened(page, net=registered("failing", Failing))
    assert len(errors(at)) == 1
    assert "Traceback" not in errors(at)[0]
    choose(at, "net", "lenet5")
    assert errors(at) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_four_channel_network_opens(opened, registered, page):
    at = opened(page, net=registered("four", FourChannels, 4))
    assert errors(at) == []
    assert chosen(at, "net") == "four"


def test_the_received_image_of_a_four_channel_network_is_opaque(opened, registered):
    at = opened("home", net=registered("four", FourChannels, 4), image="chelsea")
    assert shown_image(at).mode in ("RGB", "L")


def test_home_shows_what_the_network_receives(opened):
    at = opened("home", net="resnet20_cifar", image="coffee")
    from cnnviz.data.samples import sample_photo
    from cnnviz.models.catalogue.registry import find

    received = find("resnet20_cifar").preprocessing.receive(sample_photo("coffee"))
    shown = pictures(at)["home_seen"]
    factor = shown["height"] // 32
    assert shown["src"] == data_url(rgb_png(np.kron(received, np.ones((factor, factor, 1), np.uint8))))


def test_out_of_memory_sets_the_cpu_and_says_so(opened, registered):
    full = threading.Event()

    class Full(torch.nn.Sequential):
        """Runs out of memory once, as a GPU would."""

        def forward(self, x):
            if torch.is_inference_mode_enabled() and not full.is_set():  # not in the trial at loading
                full.set()
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return super().forward(x)

    def builder(classes: int) -> torch.nn.Module:
        return Full(torch.nn.Conv2d(3, classes, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())

    at = opened("home", net=registered("full", builder))
    assert full.is_set()
    assert errors(at) == []
    assert at.session_state["forced_device"] == "cpu"
    assert any("out of memory" in w.value and "CPU" in w.value for w in at.warning)


def test_other_failures_are_not_taken_for_a_full_device():
    assert not shared.out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_the_cache_folder_is_the_test_s_own(cache: Path):
    assert uploads.cache_folder() == cache == Path(os.environ["CNNVIZ_CACHE"])
