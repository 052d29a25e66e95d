"""torchvision's files: fetched once, checked, cached where torch keeps them, and clear when offline."""

import hashlib
import io
import shutil
import struct

import pytest
import torch

import cnnviz
from cnnviz.errors import BadCheckpoint, BadInput, Offline
from cnnviz.models.catalogue.registry import architectures, find
from cnnviz.models.zoo import download as pretrained

STATE = {"conv.weight": torch.ones(2, 3, 3, 3), "conv.bias": torch.zeros(2)}


def packed(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


GOOD = packed(STATE)
NAME = f"tiny-{hashlib.sha256(GOOD).hexdigest()[:8]}.pth"
OTHER = packed({key: value + 1 for key, value in STATE.items()})


@pytest.fixture(autouse=True)
def home(weights_home):
    """An empty torch cache, no mirror, no proxy."""
    return weights_home


def test_a_file_is_downloaded_once_and_then_taken_from_the_cache(server, home):
    server.files[NAME] = GOOD
    steps = []
    found = pretrained.fetch(f"{server.address}/models/{NAME}", lambda *step: steps.append(step))
    torch.testing.assert_close(found.tensors, STATE)
    assert steps[-1] == (len(GOOD), len(GOOD))
    assert [path.name for path in home.iterdir()] == [NAME]
    again = pretrained.fetch(f"{server.address}/models/{NAME}")
    assert again.sha256 == found.sha256 and again.warnings == []
    assert server.asked == [f"/models/{NAME}"]


def test_what_was_compared_is_said(server, home):
    server.files[NAME] = GOOD
    first, second = (pretrained.fetch_file(f"{server.address}/{NAME}") for _ in range(2))
    assert (first.fresh, second.fresh) == (True, False) and first.path == second.path == home / NAME
    digits = hashlib.sha256(GOOD).hexdigest()[:8]
    assert first.checksum == second.checksum == f"sha256 begins with {digits}, as published"


def test_another_file_under_the_name_is_refused_and_not_kept(server, home):
    server.files[NAME] = OTHER
    with pytest.raises(BadInput, match="not the expected file"):
        pretrained.fetch(f"{server.address}/{NAME}")
    assert not list(home.iterdir())


@pytest.mark.parametrize("drop", [True, False])
def test_a_404_or_a_broken_connection_says_where_to_put_the_file(server, home, drop):
    server.drop = drop
    server.files = {NAME: GOOD} if drop else {}
    with pytest.raises(Offline) as caught:
        pretrained.fetch(f"{server.address}/{NAME}")
    for hint in ("broke after" if drop else "404", str(home / NAME), "set CNNVIZ_WEIGHTS_MIRROR to"):
        assert hint in str(caught.value)
    assert not list(home.glob("*"))


def test_without_a_connection_the_host_the_file_and_the_mirror_are_named(nobody, home):
    with pytest.raises(Offline) as caught:
        pretrained.fetch(f"{nobody}/{NAME}")
    for hint in ("No connection to 127.0.0.1", NAME, str(home), "CNNVIZ_WEIGHTS_MIRROR"):
        assert hint in str(caught.value)


def test_a_mirror_is_asked_instead_of_the_host(server, nobody, monkeypatch):
    server.files[NAME] = GOOD
    monkeypatch.setenv(pretrained.MIRROR, f"{server.address}/class/")
    torch.testing.assert_close(pretrained.fetch(f"{nobody}/models/{NAME}").tensors, STATE)
    assert server.asked == [f"/class/{NAME}"]


def test_a_mirror_may_be_a_folder(nobody, monkeypatch, tmp_path, home):
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / NAME).write_bytes(GOOD)
    monkeypatch.setenv(pretrained.MIRROR, str(tmp_path / "usb"))
    torch.testing.assert_close(pretrained.fetch(f"{nobody}/{NAME}").tensors, STATE)
    assert (home / NAME).read_bytes() == GOOD


def flipped(content):
    """One bit of the weights changed, which torch.load does not notice."""
    place = content.index(struct.pack("<f", 1.0) * 20) + 40
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: b"noise", lambda c: b"", flipped])
def test_a_damaged_cached_file_is_downloaded_again(server, home, damage):
    server.files[NAME] = GOOD
    home.mkdir(parents=True)
    (home / NAME).write_bytes(damage(GOOD))
    torch.testing.assert_close(pretrained.fetch(f"{server.address}/{NAME}").tensors, STATE)
    assert (home / NAME).read_bytes() == GOOD


def test_an_undamaged_file_that_somebody_put_there_is_used_and_said(nobody, home):
    home.mkdir(parents=True)
    (home / NAME).write_bytes(OTHER)
    found = pretrained.fetch(f"{nobody}/{NAME}")
    torch.testing.assert_close(found.tensors["conv.bias"], torch.ones(2))
    assert "not the published file" in found.warnings[0]


@pytest.mark.parametrize("name", [name for name in architectures() if find(name).pretrained])
def test_every_entry_has_a_hash_1000_names_and_the_catalogues_preprocessing(name):
    weights = pretrained.find_weights(find(name))
    assert len(pretrained.expected_hash(weights.url)) == 8
    assert len(weights.meta["categories"]) == 1000
    assert weights.preprocessing == find(name).preprocessing


def test_a_network_without_public_weights_says_so():
    with pytest.raises(BadInput, match="no public pretrained weights for lenet5"):
        cnnviz.load("lenet5", weights="pretrained", device="cpu")


@pytest.mark.parametrize("name", ["googlenet", "torchvision:googlenet", "inception_v3"])
def test_ported_networks_rescale_their_input_and_drop_auxiliary_heads(name, server, home, monkeypatch):
    from torchvision.models import get_model

    torch.manual_seed(0)
    source = get_model(
        name.rpartition(":")[2], weights=None, init_weights=False, aux_logits=True, transform_input=True
    ).eval()
    file = pretrained.cache_path(pretrained.find_weights(find(name)).url)
    file.parent.mkdir(parents=True)
    torch.save(source.state_dict(), file)
    model = cnnviz.load(name, weights="pretrained", device="cpu")
    x = torch.randn(1, *model.input_size)
    with torch.inference_mode():
        torch.testing.assert_close(model.module(x), source(x))
    assert model.report.unexpected and not model.report.missing


def test_the_real_squeezenet_plays_a_finished_download(shared, home, nobody, monkeypatch):
    monkeypatch.setenv(pretrained.MIRROR, nobody)
    home.mkdir(parents=True)
    shutil.copy(shared / "weights/squeezenet1_0-imagenet.pth", home / "squeezenet1_0-b66bff10.pth")
    model = cnnviz.load("squeezenet1_0", weights="pretrained", device="cpu")
    assert (model.origin, model.class_names[0], len(model.class_names)) == ("pretrained", "tench", 1000)
    assert model.report.matched == 52


def test_weights_of_another_network_in_the_cache_are_refused(home, nobody, monkeypatch):
    monkeypatch.setenv(pretrained.MIRROR, nobody)
    home.mkdir(parents=True)
    (home / "squeezenet1_0-b66bff10.pth").write_bytes(GOOD)
    with pytest.raises(BadCheckpoint, match="do not fit squeezenet1_0"):
        cnnviz.load("squeezenet1_0", weights="pretrained", device="cpu")
