"""Networks of other zoos by prefix: built, prepared for and described as their zoo does, refused in words."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

import cnnviz
from cnnviz.errors import BadInput, CnnvizError, UnknownName
from cnnviz.models.catalogue.registry import build, find, is_known
from cnnviz.models.zoo import download as pretrained
from cnnviz.models.zoo import zoos

timm = pytest.importorskip("timm")
pytest.importorskip("pytorchcv")

PARAMETERS = {  # published by the zoo or by the paper
    "timm:resnet18": 11_689_512,
    "timm:mobilenetv2_100": 3_504_872,
    "pytorchcv:nin_cifar10": 966_986,
    "pytorchcv:nin_cifar100": 984_356,
    "pytorchcv:zfnet": 62_357_608,
    "pytorchcv:densenet100_k12_bc_cifar10": 769_162,
    "pytorchcv:densenet40_k12_cifar10": 599_050,
    "torchvision:convnext_tiny": 28_589_128,
    "torchvision:regnet_x_400mf": 5_495_976,  # computes with values while it is built
    "torchvision:vit_b_16.IMAGENET1K_SWAG_E2E_V1": 86_859_496,
}


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize("name, count", PARAMETERS.items())
def test_parameters_are_those_that_the_zoo_publishes(name, count):
    with torch.device("meta"):
        module = build(name)
    assert sum(parameter.numel() for parameter in module.parameters()) == count
    assert all(parameter.is_meta for parameter in module.parameters())


@pytest.mark.parametrize("name", ["timm:test_resnet", "pytorchcv:resnet20_cifar10", "torchvision:squeezenet1_1"])
@pytest.mark.parametrize("classes", [None, 7])
def test_a_network_of_a_zoo_answers_one_score_a_class(name, classes):
    entry = find(name)
    with torch.inference_mode():
        scores = build(name, classes).eval()(torch.zeros(2, *entry.input_size))
    assert scores.shape == (2, classes or entry.classes)


def test_a_random_network_of_a_zoo_is_the_same_at_every_load():
    first, second = (cnnviz.load("timm:test_resnet", "random", "cpu") for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert (first.name, first.input_size, len(first.class_names)) == ("timm:test_resnet", (3, 160, 160), 1000)
    assert first.class_names[0] == "tench"


@pytest.mark.parametrize(
    "name, near",
    [
        ("timm:rsnet18", "resnet18"),
        ("pytorchcv:prersnet18", "preresnet18"),
        ("torchvision:resnet5", "resnet50"),
        ("tim:resnet18", "timm"),
        ("timm:resnet18.nonsense", "a1_in1k"),
        ("torchvision:resnet50.IMAGENET1K_V3", "IMAGENET1K_V2"),
    ],
)
def test_unknown_names_are_answered_with_the_closest(name, near):
    with pytest.raises(UnknownName, match=near):
        find(name)
    assert not is_known(name)


@pytest.mark.parametrize(
    "name, what",
    [
        ("torchvision:maskrcnn_resnet50_fpn", "finds objects"),
        ("torchvision:fcn_resnet50", "labels every pixel"),
        ("torchvision:r3d_18", "takes films"),
        ("torchvision:raft_small", "compares two images"),
        ("torchvision:quantized_resnet18", "8 bits"),
        ("timm:vit_small_patch14_dinov2", "no classes"),
        ("timm:resnet50_clip.openai", "no classes"),
        ("pytorchcv:jasper5x3", "recognises speech"),
        ("pytorchcv:fcn8sd_resnetd50b_voc", "labels every pixel"),
        ("pytorchcv:unet_cityscapes", "labels every pixel"),
        ("pytorchcv:centernet_resnet18_coco", "finds objects"),
        ("pytorchcv:lffd20x5s320v2_widerface", "finds faces"),
    ],
)
def test_what_is_no_image_classifier_is_refused_in_words(name, what):
    with pytest.raises(BadInput, match=what):
        find(name)


@pytest.mark.parametrize("zoo, name", [("timm", "timm:resnet26"), ("pytorchcv", "pytorchcv:resnet26")])
def test_a_missing_package_names_the_command_that_installs_it(zoo, name, monkeypatch):
    monkeypatch.setitem(sys.modules, zoo, None)  # as Python marks a package that cannot be imported
    with pytest.raises(CnnvizError) as caught:
        cnnviz.build(name)
    assert f'pip install "cnnviz[{zoo}]"' in str(caught.value) and f"pip install {zoo}" in str(caught.value)
    assert not zoos.is_installed(zoo)


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "resnet18.tv_in1k", "test_efficientnet"])
def test_timm_images_are_prepared_as_timm_does(name, photo):
    settings = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    expected = timm.data.create_transform(**settings)(photo)
    chosen = find(f"timm:{name}").preprocessing
    found = chosen.normalise(torch.from_numpy(chosen.receive(photo)))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["swin_t", "efficientnet_b0", "regnet_x_400mf.IMAGENET1K_V2"])
def test_torchvision_images_are_prepared_as_torchvision_does(name, photo):
    from torchvision.models import get_weight

    entry = find(f"torchvision:{name}")
    expected = get_weight(entry.pretrained).transforms()(photo)
    found = entry.preprocessing.normalise(torch.from_numpy(entry.preprocessing.receive(photo)))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "name, size, resize, classes, first",
    [
        ("nin_cifar10", 32, None, 10, "airplane"),
        ("nin_cifar100", 32, None, 100, "apple"),
        ("nin_svhn", 32, None, 10, "0"),
        ("resnet10_cub", 224, 256, 200, "bird species 1"),
        ("efficientnet_b1b", 240, 273, 1000, "tench"),
    ],
)
def test_pytorchcv_tells_size_and_classes_by_name_and_table(name, size, resize, classes, first):
    entry = find(f"pytorchcv:{name}")
    names = pretrained.find_weights(entry).meta["categories"]
    assert (entry.input_size, entry.preprocessing.resize) == ((3, size, size), resize)
    assert (entry.classes, len(names), names[0]) == (classes, classes, first)


def test_timms_larger_class_sets_come_with_their_names():
    entry = find("timm:convnext_tiny.fb_in22k")
    names = pretrained.find_weights(entry).meta["categories"]
    assert entry.classes == len(names) == 21_841 and "organism, being" in names


def test_a_densenet_that_is_not_the_papers_says_so():
    for name in ("densenet40_k12_cifar10", "densenet100_k24_svhn"):
        assert "Not the paper's network" in find(f"pytorchcv:{name}").note
    assert find("pytorchcv:densenet100_k12_bc_cifar10").note == ""


def test_the_lists_hold_classifiers_only():
    assert {"zfnet", "nin_cifar10"} <= set(zoos.names("pytorchcv"))
    assert not {"unet_cityscapes", "centernet_resnet18_coco"} & set(zoos.names("pytorchcv"))
    assert "resnet18" in zoos.names("timm") and "vit_small_patch14_dinov2" not in zoos.names("timm")
    assert "maskrcnn_resnet50_fpn" not in zoos.names("torchvision")
