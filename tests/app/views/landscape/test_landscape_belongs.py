"""What a surface belongs to: the network of one's own with its answers, its random twin, one plane and not a median."""

from pathlib import Path

import numpy as np
import pytest
import torch
from app_pages import errors
from made_surfaces import bowl

import cnnviz
from app.session import networks, uploads
from app.session.networks import Network
from app.views.landscape import catalogue, jobs, sharpness
from app.views.landscape import point as landscape_point
from app.views.landscape.jobs import SurfaceSetting
from app.weights import owners
from cnnviz.data.class_names import CIFAR10
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.landscape.geometry.convexity import nonconvexity
from cnnviz.models.catalogue.registry import build
from cnnviz.models.fingerprint import hash_tensors
from cnnviz.store import write_json

DIGITS = tuple(map(str, range(10)))
SETTING = SurfaceSetting(10, 3, 1.0, 0, "frozen", "float32", False)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of landscapes, two planes of a network."""
    folder = tmp_path / "landscapes"
    monkeypatch.setenv("CNNVIZ_LANDSCAPES", str(folder))
    for seed in (0, 1):
        bowl(seed=seed).save(folder / f"resnet20_cifar-seed{seed}.npz")
    return folder


def mine(tmp_path: Path, classes: tuple[str, ...], untrained: bool = False) -> Network:
    """A LeNet-5 of one's own with these answers."""
    torch.manual_seed(0)
    torch.save(build("lenet5", 10).state_dict(), tmp_path / "mine.pth")
    name = uploads.store_weights((tmp_path / "mine.pth").read_bytes())
    expects = Preprocessing((28, 28), 28, (0.3,), (0.6,))
    own = owners.OwnWeights(name, "mine.pth", "lenet5", classes, expects, 1, "2026-01-01 10:00")
    write_json(uploads.side_file(name), own.as_dict())
    choice = networks.Choice("lenet5", name, "auto", untrained, own.version)
    return networks.load(choice)


def computed(network: Network) -> catalogue.ShownLandscape:
    """A surface of it over ten digits, as the page computes and lists it."""
    path = jobs.path_of(network, images := cnnviz.corpus("digits"), SETTING)
    jobs._work(network, images, SETTING, path, lambda _progress, _partial=None: True)
    return catalogue.load_landscape(f"computed-{path.stem}", "")


def test_corrected_class_names_are_another_surface_and_another_sharpness(tmp_path):
    wrong, right = mine(tmp_path, DIGITS[::-1]), mine(tmp_path, DIGITS)
    assert wrong.model.fingerprint == right.model.fingerprint
    images = cnnviz.corpus("digits")
    assert len({jobs.path_of(network, images, SETTING) for network in (wrong, right)}) == 2
    assert len({sharpness._key(network, images, 10, False) for network in (wrong, right)}) == 2
    assert not np.array_equal(computed(wrong).surface.loss, computed(right).surface.loss)


@pytest.mark.parametrize("untrained", [False, True])
def test_a_surface_of_one_s_own_file_leads_back_to_that_network_with_its_answers(tmp_path, untrained):
    network = mine(tmp_path, DIGITS, untrained)
    found = landscape_point.network_of(computed(network))
    assert found.model.fingerprint == network.model.fingerprint and found.choice.version
    assert found.untrained == untrained and found.model.preprocessing == network.model.preprocessing
    again = landscape_point.network_of(computed(mine(tmp_path, DIGITS[::-1], untrained)))
    assert again.model.class_names[0] == "9"  # not what the shelf holds of the earlier answers


@pytest.mark.parametrize(
    ("weights", "untrained", "title"),
    [
        ("bundled", False, "Plain-20 (CIFAR)"),
        ("epoch-25", False, "Plain-20 (CIFAR), after 25 epochs"),
        ("epoch-0", False, "Plain-20 (CIFAR), before training"),
        ("epoch-25", True, "Plain-20 (CIFAR), random weights"),
        ("random", False, "Plain-20 (CIFAR), random weights"),
    ],
)
def test_a_surface_says_of_which_weights_it_is(weights, untrained, title):
    choice = networks.Choice("plain20_cifar", weights, "cpu", untrained)
    assert catalogue.network_title(networks.load(choice)) == title


def test_a_point_of_recalibrated_statistics_says_that_the_network_there_keeps_its_own(opened, files):
    bowl(seed=0, statistics="recalibrated").save(files / "resnet20_cifar-seed0.npz")
    at = opened("landscape", view="Contours", point="0,0.6,-0.4", layer="layer1.0")
    assert errors(at) == [] and landscape_point.RECALIBRATED in [c.value for c in at.caption]


def test_the_sharpness_of_other_weights_is_not_put_beside_a_surface(opened, files):
    for seed in (0, 1):
        bowl(seed=seed, weights="0" * 64).save(files / f"resnet20_cifar-seed{seed}.npz")
    at = opened("landscape", view="Sharpness")
    assert errors(at) == [] and any("other weights" in info.value for info in at.info)
    assert not [button for button in at.button if button.key == "measure"]


def test_the_panel_of_sharpness_says_how_far_from_the_centre_a_slice_is_convex(opened, files):
    for name, ripple in (("resnet20_cifar", 0.0), ("plain20_cifar", 5.0)):
        bowl(ripple=ripple, seed=0).save(files / f"{name}-seed0.npz")
    (table,) = opened("landscape", view="Sharpness").table
    smooth, rough = table.value["convex up to"]
    expected = nonconvexity(bowl(ripple=5.0, seed=0)).nearest
    assert smooth == "as far as counted" and rough == f"{expected:.2f} from the centre" and 0 <= expected < 1


def test_a_median_is_no_slice_it_has_no_convexity_no_angle_and_other_bars(opened, files):
    at = opened("landscape", view="Sharpness", seed="median")
    assert errors(at) == [] and any("a median of planes is no slice" in info.value for info in at.info)
    assert not any(m.value.startswith("Orange dots") for m in at.markdown)
    at = opened("landscape", view="Slices", seed="median")
    said = " ".join(m.value for m in at.markdown)
    assert "half the distance of the quartiles" in said and "bars are one standard error" not in said
    assert "a median over slices" in said and "This is a slice" not in said
    assert "cosine" not in catalogue.load_landscape("resnet20_cifar", "median").surface.meta


def test_points_of_a_published_surface_answer_once_their_weights_are_brought(opened, files, tmp_path):
    torch.manual_seed(1)
    network = build("resnet20_cifar_b", 10)
    said = {"title": "ResNet-20 of its authors", "trained": "trained for 300 epochs", "seed": 0}
    path = files / "resnet20_cifar_b-seed0.npz"
    bowl(tensors=hash_tensors(network), **said).save(path)
    view = {"view": "Contours", "left": "resnet20_cifar_b", "right": "(none)", "point": "0,0.1,0.2"}
    at = opened("landscape", **view)
    (refused,) = errors(at)
    assert "ResNet-20 of its authors do not come with cnnviz" in refused and "weights of your own" in refused
    at = opened("landscape", left="resnet20_cifar_b", right="(none)")
    assert "trained for 300 epochs" in " ".join(caption.value for caption in at.caption)
    torch.save(network.state_dict(), tmp_path / "theirs.pth")
    name = uploads.store_weights((tmp_path / "theirs.pth").read_bytes())
    expects = Preprocessing((32, 32), None, (0.5,) * 3, (0.25,) * 3)
    own = owners.OwnWeights(name, "theirs.pth", "resnet20_cifar_b", CIFAR10, expects, 1, "2026-01-01 10:00")
    write_json(uploads.side_file(name), own.as_dict())
    at = opened("landscape", **view)
    assert errors(at) == [] and any("At (0.10, 0.20)" in text.value for text in at.markdown)
    bowl(tensors="another's", **said).save(path)
    (refused,) = errors(opened("landscape", **view))
    assert "do not come with cnnviz" in refused
