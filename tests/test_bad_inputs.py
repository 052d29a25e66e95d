"""What strangers hand over, to the library and the command line: a clear message each, nothing read, run or written
beyond it. Checkpoints are in tests/models/checkpoint/test_bad_checkpoints.py, tours in test_tours.py, the app
in tests/app."""

import re
import tracemalloc
from pathlib import Path

import badpictures as bad
import numpy as np
import pytest
from hostile_files import memory
from source_tree import sources

import cnnviz
from cnnviz.cli import main
from cnnviz.data.images import open_image
from cnnviz.errors import BadImage, BadInput, CnnvizError

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:Corrupt EXIF")


def test_nothing_that_is_read_is_ever_unpickled_or_run():
    """Every torch.load says weights_only=True; YAML and NumPy files are read as plain values."""
    ways = re.compile(
        r"pickle\.loads?\(|allow_pickle=True|weights_only=False|yaml\.(unsafe_|full_)?load\(|(?<![.\w])(eval|exec)\("
        r"|os\.system|shell=True|torch\.(hub|jit)\.load|unsafe_allow_html"
    )
    texts = {path: path.read_text(encoding="utf-8") for path in sources("cnnviz", "app", "pages")}
    assert len(texts) > 200 and not [path for path, text in texts.items() if ways.search(text)]
    loads = [line for text in texts.values() for line in text.splitlines() if "torch.load(" in line]
    assert loads and all("weights_only=True" in line for line in loads)


@pytest.mark.parametrize("name", bad.REFUSED)
def test_a_bad_image_is_refused_with_its_reason_in_little_memory(name, tmp_path):
    data, says = bad.REFUSED[name]
    path = tmp_path / "given.png"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(BadImage) as said:
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert re.search(says, str(said.value)) and "given.png" in str(said.value)
    assert str(tmp_path) not in str(said.value)  # a visitor of a server learns nothing of its disk
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", bad.ODD)
def test_an_odd_image_opens_upright_in_rgb_whatever_it_is_called(name, tmp_path):
    data, size = bad.ODD[name]
    path = tmp_path / "given.heic"
    path.write_bytes(data)
    opened = open_image(path)
    assert opened.mode == "RGB" and opened.size == size
    model = cnnviz.load("resnet20_cifar", "random", "cpu")
    assert np.isfinite(model.predict(opened)).all()


@pytest.mark.parametrize("name", bad.ZIPS)
def test_a_zip_that_cannot_be_used_says_why_and_unpacks_nothing(name, tmp_path):
    data, says = bad.ZIPS[name]
    folder = tmp_path / "inside" / "deep"
    folder.mkdir(parents=True)
    (folder / "given.zip").write_bytes(data)
    with pytest.raises(BadInput, match=f"(?s){says}"):
        cnnviz.corpus(folder / "given.zip")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "given.zip"]


def test_a_link_in_a_zip_is_never_followed(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(bad.encoded())
    (tmp_path / "given.zip").write_bytes(bad.symlink(str(secret)))
    images = cnnviz.corpus(tmp_path / "given.zip")
    with pytest.raises(BadImage, match="holds text, not an image"):
        images.image(0)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (2, 4000)])
def test_a_line_of_pixels_needs_no_gigabyte_and_its_middle_is_seen(shape):
    """Scaled whole, 1×5000 pixels would be 256×1,280,000."""
    ramp = np.linspace(0, 200, max(shape)).astype(np.uint8)
    image = np.broadcast_to(ramp.reshape(1, -1) if shape[0] < shape[1] else ramp.reshape(-1, 1), shape)
    model = cnnviz.load("squeezenet1_0", "random", "cpu")
    with memory(64 << 20):
        received = model.receive(np.repeat(image[:, :, None], 3, 2))
    assert received.shape == (224, 224, 3) and np.abs(received.astype(int) - 100).max() <= 2


def test_one_bad_image_among_good_ones_costs_that_image_alone(tmp_path):
    entries = {f"{number}.png": data for number, (data, _says) in enumerate(bad.REFUSED.values())}
    entries["good.png"] = bad.encoded()
    (tmp_path / "given.zip").write_bytes(bad.archive(entries, bad.zipfile.ZIP_STORED))
    images = cnnviz.corpus(tmp_path / "given.zip")
    assert [name for _index, name, _image in images.iterate()] == ["good.png"]
    assert len(images.skipped) == len(bad.REFUSED)


CALLS = {  # of the library: (what is called, what is said)
    "an image that is a number": (lambda: open_image(7), "got int"),
    "an image that is a path of another machine": (lambda: open_image("C:\\Users\\me\\a.png"), "does not exist"),
    "a path with a zero byte": (lambda: cnnviz.corpus("a\0b"), "does not exist|No corpus"),
    "a path that no disk can hold": (lambda: cnnviz.corpus("/" + "x" * 5000), "does not exist"),
    "an image whose name no disk can hold": (lambda: open_image("x" * 5000), "does not exist"),
    "weights whose name no disk can hold": (lambda: cnnviz.load("lenet5", "x" * 5000), "no file|random, pretrained"),
    "no images": (lambda: cnnviz.corpus([]), "holds no images"),
    "images of numbers": (lambda: cnnviz.corpus([1, 2]), "Expected"),
    "a corpus that nobody knows": (lambda: cnnviz.corpus("imagnet"), "No corpus named 'imagnet'"),
    "a network that nobody knows": (lambda: cnnviz.build("resnet5O"), "No architecture named 'resnet5O'"),
    "a network called like a path": (lambda: cnnviz.build("../../etc/passwd"), "No architecture named"),
    "a name of a megabyte": (lambda: cnnviz.build("x" * 10**6), "No architecture named"),
    "no classes": (lambda: cnnviz.build("lenet5", 0), "classes"),
    "a negative number of classes": (lambda: cnnviz.build("lenet5", -3), "classes"),
    "a device that is not here": (lambda: cnnviz.load("lenet5", "random", "cuda:99"), "not available"),
    "pixels of other values": (
        lambda: cnnviz.load("lenet5", "random", "cpu").predict(np.zeros((28, 28), np.float32)),
        "uint8",
    ),
    "pixels without a side": (
        lambda: cnnviz.load("lenet5", "random", "cpu").predict(np.zeros((0, 28, 3), np.uint8)),
        "uint8",
    ),
    "a layer that is not there": (
        lambda: cnnviz.capture(cnnviz.load("lenet5", "random", "cpu"), np.zeros((8, 8), np.uint8), ["conv9"]),
        "No layer named 'conv9'.*conv1",
    ),
    "a picture without a side": (
        lambda: cnnviz.load("lenet5", "random", "cpu").predict(bad.Image.new("L", (28, 0))),
        "no pixels.*28×0",
    ),
    "k of nothing": (
        lambda: cnnviz.index_patches(cnnviz.load("lenet5", "random", "cpu"), cnnviz.corpus("digits", 2), k=0),
        "k=0",
    ),
    "an index that is none": (lambda: cnnviz.PatchIndex.load(Path(__file__)), "test_bad_inputs.py"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_is_told_what_was_given_and_what_is_expected(name):
    call, says = CALLS[name]
    with pytest.raises(CnnvizError) as said:
        call()
    assert re.search(says, str(said.value), re.DOTALL) and len(str(said.value)) < 5000


WORDS = {  # of the command line: (words, what is said)
    "a network that nobody knows": ("show lenet6", "lenet6.*lenet5"),
    "a path in place of a network": ("show ../../etc/passwd", "passwd"),
    "Unicode": ("show réseau☃", "réseau☃"),
    "a folder that is not there": ("index lenet5 --weights random --data {}/none --out {}/i.npz", "none"),
    "a text file as images": ("index lenet5 --weights random --data {}/text.txt --out {}/i.npz", "text.txt|No image"),
    "an empty folder": ("index lenet5 --weights random --data {}/empty --out {}/i.npz", "holds no images"),
    "a layer that is not there": (
        "index lenet5 --weights random --data digits --layers conv9 --out {}/i.npz",
        "No layer named 'conv9'",
    ),
    "a file in place of a folder": (
        "index lenet5 --weights random --data digits --layers conv2 -k 1 --out {}/text.txt/i.npz",
        "Could not write",
    ),
    "weights that are text": ("index lenet5 --weights {}/text.txt --data digits --out {}/i.npz", "text file"),
    "a device that is not here": ("index lenet5 --weights random --device tpu --data digits --out {}/i.npz", "'tpu'"),
    "nothing to learn": ("train lenet5 --data {}/empty --out {}/run --device cpu", "empty"),
    "a learning rate that is no number": (
        "train lenet5 --data {}/empty --out {}/run --device cpu --lr nan",
        "empty|lr|nan",
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_the_command_line_explains_itself_without_a_stack_trace(name, tmp_path, capsys):
    words, says = WORDS[name]
    (tmp_path / "text.txt").write_text("holiday in Italy\n" * 20)
    (tmp_path / "empty").mkdir()
    assert main([word.replace("{}", str(tmp_path)) for word in words.split()]) == 1
    message = capsys.readouterr().err
    assert re.search(says, message, re.DOTALL) and "Traceback" not in message
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "run") == ["empty", "text.txt"]
