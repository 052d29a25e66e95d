"""Files of other zoos: fetched, checked and read by cnnviz alone; nothing pickled in them is run."""

import hashlib
import io
import os
import zipfile

import pytest
import torch
from safetensors.torch import save

import cnnviz
from cnnviz.errors import BadCheckpoint, BadInput, Offline
from cnnviz.models.catalogue.registry import build, find
from cnnviz.models.zoo import download as pretrained
from cnnviz.models.zoo import pytorchcv

pytest.importorskip("timm")
pytest.importorskip("pytorchcv")

TIMM, HUB_FILE = "timm:test_resnet", "/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
PCV = "pytorchcv:resnet20_cifar10"


@pytest.fixture(autouse=True)
def home(weights_home):
    return weights_home


@pytest.fixture(scope="module")
def timm_net():
    torch.manual_seed(1)
    return build(TIMM).eval()


@pytest.fixture(scope="module")
def pcv_net():
    torch.manual_seed(1)
    return build(PCV).eval()


def torch_file(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def publish(monkeypatch, content: bytes) -> str:
    """Enter `content` in pytorchcv's table as the published file of PCV; the name of its zip."""
    name = PCV.partition(":")[2]
    row = {**pytorchcv._table()[name], "checksum": hashlib.sha1(content).hexdigest()}
    monkeypatch.setitem(pytorchcv._table(), name, row)
    return f"{name}-{row['error_value']}-{row['checksum'][:8]}.pth"


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def same_answers(model, module) -> None:
    x = torch.randn(2, *model.input_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model.module(x), module(x))


def test_a_hub_file_is_asked_at_the_chosen_endpoint_and_checked(server, home, monkeypatch, timm_net):
    content = save(timm_net.state_dict())
    server.files["model.safetensors"] = content
    server.told = {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"'}
    monkeypatch.setenv("HF_ENDPOINT", server.address + "/")
    steps = []
    model = cnnviz.load(TIMM, "pretrained", "cpu", progress=lambda *step: steps.append(step))
    same_answers(model, timm_net)
    assert server.asked == [HUB_FILE] and steps[-1] == (len(content), len(content))
    assert model.report.matched == model.report.expected
    cnnviz.load(TIMM, "pretrained", "cpu")
    assert len(server.asked) == 1
    assert [path.name for path in home.iterdir()] == ["timm--test_resnet.r160_in1k.safetensors"]


def test_a_hub_file_that_differs_from_the_told_sha256_is_not_kept(server, home, monkeypatch, timm_net):
    server.files["model.safetensors"] = save(timm_net.state_dict())
    server.told = {"X-Linked-Etag": f'"{"0" * 64}"'}
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    with pytest.raises(BadInput, match="not the expected file"):
        cnnviz.load(TIMM, "pretrained", "cpu")
    assert not list(home.iterdir())


@pytest.mark.parametrize("variable", [None, "HF_HUB_OFFLINE"])
def test_without_the_hub_the_place_and_the_mirror_are_named(nobody, home, monkeypatch, variable):
    monkeypatch.setenv("HF_ENDPOINT", nobody)
    if variable:
        monkeypatch.setenv(variable, "1")
    with pytest.raises(Offline) as caught:
        cnnviz.load(TIMM, "pretrained", "cpu")
    place = str(home / "timm--test_resnet.r160_in1k.safetensors")
    for hint in (variable or "No connection to 127.0.0.1", place, "CNNVIZ_WEIGHTS_MIRROR"):
        assert hint in str(caught.value)


def test_a_copy_of_somebodys_cache_serves_as_a_mirror(home, monkeypatch, tmp_path, timm_net, pcv_net):
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "timm--test_resnet.r160_in1k.safetensors").write_bytes(save(timm_net.state_dict()))
    content = torch_file(pcv_net.state_dict())
    (tmp_path / "usb" / publish(monkeypatch, content)).write_bytes(content)
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", str(tmp_path / "usb"))
    same_answers(cnnviz.load(TIMM, "pretrained", "cpu"), timm_net)
    same_answers(cnnviz.load(PCV, "pretrained", "cpu"), pcv_net)


def test_a_pytorchcv_zip_is_unpacked_and_its_sha1_compared(server, home, monkeypatch, pcv_net):
    content = torch_file(pcv_net.state_dict())
    name = publish(monkeypatch, content)
    server.files[f"{name}.zip"] = zipped(name, content)
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", server.address)
    model = cnnviz.load(PCV, "pretrained", "cpu")
    same_answers(model, pcv_net)
    assert [path.name for path in home.iterdir()] == [name]
    assert server.asked == [f"/{name}", f"/{name}.zip"]
    brought = pretrained.fetch_file(pretrained.find_weights(find(PCV)).url)
    assert not brought.fresh and "sha1 begins with" in brought.checksum and not brought.checkpoint.warnings


@pytest.mark.parametrize(
    "pack, why",
    [
        (lambda name, content: zipped(name, content[:-1] + b"?"), "expected"),
        (lambda name, content: zipped("other.pth", content), "no resnet20_cifar10"),
        (lambda name, content: zipped(name, content)[:-40], "damaged"),
        (lambda name, content: b"no zip at all", "damaged"),
    ],
)
def test_a_zip_with_something_else_leaves_nothing_behind(server, home, monkeypatch, pcv_net, pack, why):
    content = torch_file(pcv_net.state_dict())
    name = publish(monkeypatch, content)
    server.files[f"{name}.zip"] = pack(name, content)
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", server.address)
    with pytest.raises(BadInput, match=why):
        cnnviz.load(PCV, "pretrained", "cpu")
    assert not list(home.iterdir())


def test_a_zip_that_grows_beyond_the_cap_is_not_unpacked(server, home, monkeypatch):
    content = bytes(3 << 20)
    name = publish(monkeypatch, content)
    server.files[f"{name}.zip"] = zipped(name, content)
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", server.address)
    monkeypatch.setenv("CNNVIZ_MAX_WEIGHTS_MB", "2")
    with pytest.raises(BadInput, match="CNNVIZ_MAX_WEIGHTS_MB"):
        cnnviz.load(PCV, "pretrained", "cpu")
    assert not list(home.iterdir())


class Spring:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_pickled_program_with_the_right_checksum_is_still_not_run(server, monkeypatch, tmp_path):
    trap = tmp_path / "sprung"
    content = torch_file({"features.weight": torch.zeros(2), "trap": Spring(str(trap))})
    name = publish(monkeypatch, content)
    server.files[f"{name}.zip"] = zipped(name, content)
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", server.address)
    with pytest.raises(BadCheckpoint):
        cnnviz.load(PCV, "pretrained", "cpu")
    assert not trap.exists()


def test_a_torchvision_tag_has_the_address_of_its_own_file():
    first, second = (pretrained.find_weights(find(f"torchvision:resnet50.IMAGENET1K_V{n}")) for n in (1, 2))
    assert pretrained.expected_hash(first.url) == "0676ba61" and pretrained.expected_hash(second.url) == "11ad3fa6"
    assert pretrained.find_weights(find("torchvision:resnet50")).url == second.url


def test_own_weights_for_a_network_of_a_zoo_bring_their_number_of_classes(tmp_path):
    torch.manual_seed(0)
    source = build(PCV, 3).eval()
    torch.save(source.state_dict(), tmp_path / "mine.pt")
    model = cnnviz.load(PCV, tmp_path / "mine.pt", "cpu")
    assert len(model.class_names) == 3
    same_answers(model, source)


def test_a_file_whose_metadata_name_a_network_of_a_zoo_needs_no_name(tmp_path):
    torch.manual_seed(0)
    source = build(TIMM, 3).eval()
    torch.save({"state_dict": source.state_dict(), "architecture": TIMM, "classes": ["a", "b", "c"]}, tmp_path / "x.pt")
    model = cnnviz.load(weights=tmp_path / "x.pt", device="cpu")
    assert (model.name, model.class_names) == (TIMM, ["a", "b", "c"])
    same_answers(model, source)
