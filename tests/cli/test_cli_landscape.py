"""`cnnviz landscape`: surfaces, tables, lines, several seeds, and what it says when something is wrong."""

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.cli import build_parser, landscape, main
from cnnviz.landscape.results import Line, Surface


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten digits of noise, two images each, for training and for testing."""
    root, noise = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split in ("train", "test"):
        for label in range(10):
            for i in range(2):
                path = root / split / str(label) / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(noise.integers(0, 256, (28, 28), dtype=np.uint8)).save(path)
    return root


def words(data, out, *more: str) -> list[str]:
    fixed = ["landscape", "lenet5", "--device", "cpu", "--steps", "3", "--batch", "8", "--out", str(out)]
    return [*fixed, "--data", str(data), *more]


def test_a_surface_is_saved_said_and_not_computed_again(data, tmp_path, capsys):
    out = tmp_path / "s.npz"
    assert main(words(data, out)) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: 9 points over 20 images, loss ") and "frozen statistics" in said
    surface = Surface.load(out)
    assert surface.complete and surface.alphas.tolist() == [-1, 0, 1] and surface.meta["architecture"] == "lenet5"
    written = out.stat().st_mtime_ns
    assert main(words(data, out)) == 0 and out.stat().st_mtime_ns == written


def test_other_settings_for_the_same_file_are_refused_in_words(data, tmp_path, capsys):
    assert main(words(data, tmp_path / "s.npz")) == 0
    assert main(words(data, tmp_path / "s.npz", "--seed", "1", "--split", "test")) == 1
    assert "is of a surface with another data, seed" in capsys.readouterr().err


def test_a_table_has_a_line_a_point(data, tmp_path):
    assert main(words(data, tmp_path / "s.csv", "--span", "0", "0.5", "--images", "7")) == 0
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert lines[0] == "alpha,beta,loss,accuracy,loss_error,accuracy_error" and len(lines) == 10
    assert lines[-1].startswith("0.5,0.5,")
    assert Surface.load(tmp_path / "s.npz").meta["images"] == 7


def test_several_seeds_make_several_planes_and_lines_a_line_each(data, tmp_path):
    assert main(words(data, tmp_path / "s.npz", "--seeds", "2", "--precision", "float32", "--images", "0")) == 0
    assert main(words(data, tmp_path / "l.npz", "--line", "--precision", "float32", "--images", "0")) == 0
    surfaces = [Surface.load(tmp_path / f"s-seed{seed}.npz") for seed in range(2)]
    assert not np.array_equal(surfaces[0].loss, surfaces[1].loss)
    np.testing.assert_array_equal(Line.load(tmp_path / "l.npz").loss, surfaces[0].loss[:, 1])


@pytest.mark.parametrize(
    "more, said",
    [
        (["--span", "0"], "span must be"),
        (["--span", "1", "2", "3"], "one number or two"),
        (["--steps", "0"], "steps must be"),
        (["--seeds", "0"], "--seeds must be"),
        (["--images", "-1"], "--images must be"),
        (["--data", "nowhere"], "No data at"),
    ],
)
def test_mistakes_are_explained(data, tmp_path, capsys, more, said):
    assert main(words(data, tmp_path / "s.npz", *more)) == 1
    assert said in capsys.readouterr().err


def renamed(data, root, names: dict[str, str]):
    """A copy of `data` with other class folders: {new name: old name}."""
    for split in ("train", "test"):
        for new, old in names.items():
            (root / split / new).mkdir(parents=True)
            for path in (data / split / old).iterdir():
                (root / split / new / path.name).write_bytes(path.read_bytes())
    return root


def test_labels_are_the_outputs_of_the_network_whatever_the_order_of_the_folders(data, tmp_path):
    options = build_parser().parse_args(words(renamed(data, tmp_path, {"9": "9", "3": "3"}), "s.npz", "--images", "0"))
    model = cnnviz.load("lenet5", device="cpu")
    images, labels = landscape.read_images(options, model)
    assert labels.tolist() == [3, 3, 9, 9] and images.shape == (4, *model.input_size[1:], 1)


@pytest.mark.parametrize("count", [10, 11])
def test_classes_that_the_network_does_not_have_are_refused_in_words(data, tmp_path, capsys, count):
    root = renamed(data, tmp_path / "data", {f"c{i:02}": str(i % 10) for i in range(count)})
    assert main(words(root, tmp_path / "s.npz")) == 1
    said = capsys.readouterr().err
    assert f"has {count} classes, and c00, c01, c02, … are not among the 10 of the network (0, 1, 2, …)" in said
    assert "Name the class folders as the network names its classes" in said and not (tmp_path / "s.npz").exists()


def test_an_output_of_another_suffix_is_refused_before_anything_is_read(tmp_path, capsys):
    for more in ([], ["--line"]):
        assert main(words(tmp_path / "nothing", tmp_path / "s.txt", *more)) == 1
        assert "written as .npz or .csv" in capsys.readouterr().err
    assert main(words(tmp_path / "nothing", tmp_path / "s.CSV")) == 1
    assert "written as" not in capsys.readouterr().err


@pytest.mark.parametrize(("more", "said"), [([], "the same command goes on"), (["--line"], "begins them anew")])
def test_an_interrupt_says_what_is_kept(data, tmp_path, capsys, monkeypatch, more, said):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cnnviz.landscape.evaluate.evaluator.Plane.at", interrupted)
    assert main(words(data, tmp_path / "s.npz", "--precision", "float32", *more)) == 130
    assert said in capsys.readouterr().err


def test_the_help_names_every_choice():
    said = next(a for a in build_parser()._actions if a.dest == "command").choices["landscape"].format_help()
    for word in ("--span", "--seeds", "--line", "--statistics", "torchrun", "arXiv:1712.09913", "--batch"):
        assert word in said
