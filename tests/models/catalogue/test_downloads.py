"""What can be downloaded is described before a byte is asked for, and as its publisher has it."""

from pathlib import Path

import pytest

from cnnviz.data.public import public_files
from cnnviz.errors import BadInput, CnnvizError, UnknownName
from cnnviz.models.catalogue.downloads import (
    LECTURE_WEIGHTS,
    data_download,
    lecture_downloads,
    weights_download,
)
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo import download


@pytest.fixture(autouse=True)
def empty(weights_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is here yet."""
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("CNNVIZ_DATA_MIRROR", raising=False)


@pytest.mark.parametrize("name", LECTURE_WEIGHTS)
def test_the_lecture_s_weights_have_torchvision_s_address_and_size(name):
    from torchvision.models import get_model_weights

    (published,) = get_model_weights(name)
    assert LECTURE_WEIGHTS[name] == (published.url, round(published.meta["_file_size"] * 2**20))
    assert find(name).pretrained == str(published)


def test_a_download_says_size_source_and_place_and_whether_it_is_here(weights_home):
    wanted = weights_download("alexnet")
    assert (wanted.what, wanted.size_text, wanted.source) == (
        "weights of alexnet",
        "244.4 MB",
        "download.pytorch.org",
    )
    assert wanted.place == weights_home / "alexnet-owt-7be5be79.pth" and not wanted.is_here()
    assert (wanted.folder, wanted.by_hand) == (weights_home, "put it there")
    assert wanted.files == {"alexnet-owt-7be5be79.pth": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"}
    weights_home.mkdir(parents=True)
    wanted.place.write_bytes(b"")
    assert wanted.is_here()


def test_a_set_is_described_by_any_of_its_splits(tmp_path):
    wanted = data_download("mnist-test")
    assert (wanted.name, wanted.title, len(wanted.addresses)) == ("mnist", "MNIST", 4)
    assert wanted.size_bytes == sum(archive.size for archive in public_files.SETS["mnist"].archives)
    assert (wanted.folder, wanted.by_hand) == (tmp_path / "data", "put them there, still packed")
    assert not wanted.is_here()


@pytest.mark.parametrize(
    "mirror, source",
    [("http://me:secret@192.0.2.10:8000/weights", "192.0.2.10:8000"), ("/media/stick", "a folder")],
)
def test_the_source_is_the_mirror_without_its_password(monkeypatch, mirror, source):
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", mirror)
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", mirror)
    assert {wanted.source for wanted in lecture_downloads()} == {source}


def test_a_size_that_is_estimated_or_unknown_says_so():
    pytest.importorskip("pytorchcv")
    zipped = weights_download("pytorchcv:nin_cifar10")
    assert zipped.size_text.startswith("about ") and zipped.by_hand == f"unpack it there as {zipped.place.name}"
    pytest.importorskip("timm")
    renamed = weights_download("timm:test_resnet")
    assert renamed.size_text == "size not published"
    assert renamed.by_hand == "save it there as timm--test_resnet.r160_in1k.safetensors"


def test_what_cannot_be_downloaded_is_refused_in_words():
    with pytest.raises(BadInput, match="no public pretrained weights for plain20_cifar"):
        weights_download("plain20_cifar")
    with pytest.raises(UnknownName):
        data_download("samples")


def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_asked_for(tmp_path, monkeypatch, server):
    (tmp_path / "data").write_bytes(b"a file in place of the folder")
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", server.address)
    with pytest.raises(CnnvizError, match="Could not write MNIST into .*CNNVIZ_DATA"):
        data_download("mnist").fetch(None)
    assert server.asked == []


def test_weights_are_refused_by_the_progress_before_anything_is_connected_to(server, monkeypatch):
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", server.address)

    class No(Exception):
        pass

    def refuse(done: int, total: int) -> None:
        assert (done, total) == (0, 0)
        raise No

    with pytest.raises(No):
        download.fetch_file("http://nobody.invalid/net-0123abcd.pth", refuse)
    assert server.asked == []
