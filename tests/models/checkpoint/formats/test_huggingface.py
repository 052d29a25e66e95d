"""HuggingFace's names, folders, shards and settings. Where the names go was checked once against transformers 5.24: the
logits of all seven networks of NETWORKS, with random weights, were equal but for rounding."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from weightfiles import filled

from cnnviz.errors import BadCheckpoint
from cnnviz.models.catalogue.registry import build
from cnnviz.models.checkpoint.formats.hf_folder import read_metadata
from cnnviz.models.checkpoint.formats.hf_names import rename
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.load import load

CONV, NORM = "convolution", "normalization"


def name_resnet(key: str) -> str:
    """conv1 → embedder; layer2.0.conv1 → encoder.stages.1.layers.0.layer.0.convolution"""
    parts = key.split(".")
    kind = {"conv1": CONV, "bn1": NORM}
    if parts[0] in kind:
        return f"resnet.embedder.embedder.{kind[parts[0]]}.{parts[-1]}"
    if parts[0] == "fc":
        return f"classifier.1.{parts[-1]}"
    block = f"resnet.encoder.stages.{int(parts[0][-1]) - 1}.layers.{parts[1]}"
    if parts[2] == "downsample":
        return f"{block}.shortcut.{(CONV, NORM)[int(parts[3])]}.{parts[-1]}"
    return f"{block}.layer.{int(parts[2][-1]) - 1}.{CONV if parts[2].startswith('conv') else NORM}.{parts[-1]}"


def name_regnet(key: str, last: int) -> str:
    """`last`: the place of the last convolution in a block, after a gate or not."""
    parts = key.split(".")
    kinds = (CONV, NORM)
    if parts[0] == "stem":
        return f"regnet.embedder.embedder.{kinds[int(parts[1])]}.{parts[-1]}"
    if parts[0] == "fc":
        return f"classifier.1.{parts[-1]}"
    stage, _, number = parts[2].removeprefix("block").partition("-")
    block = f"regnet.encoder.stages.{int(stage) - 1}.layers.{number}"
    if parts[3] == "proj":
        return f"{block}.shortcut.{kinds[int(parts[4])]}.{parts[-1]}"
    if parts[4] == "se":
        return f"{block}.layer.2.attention.{ {'fc1': 0, 'fc2': 2}[parts[5]] }.{parts[-1]}"
    place = {"a": 0, "b": 1, "c": last}[parts[4]]
    return f"{block}.layer.{place}.{kinds[int(parts[5])]}.{parts[-1]}"


def name_convnext(key: str) -> str:
    parts = key.split(".")
    if parts[0] == "classifier":
        return f"convnext.layernorm.{parts[-1]}" if parts[1] == "0" else f"classifier.{parts[-1]}"
    step = int(parts[1])
    if step == 0:
        return f"convnext.embeddings.{('patch_embeddings', 'layernorm')[int(parts[2])]}.{parts[-1]}"
    if step % 2 == 0:
        return f"convnext.encoder.stages.{step // 2}.downsampling_layer.{parts[2]}.{parts[-1]}"
    block = f"convnext.encoder.stages.{step // 2}.layers.{parts[2]}"
    if parts[3] == "layer_scale":
        return f"{block}.layer_scale_parameter"
    return f"{block}.{ {'0': 'dwconv', '2': 'layernorm', '3': 'pwconv1', '5': 'pwconv2'}[parts[4]] }.{parts[-1]}"


def name_mobilenet_v2(key: str) -> str:
    parts = key.split(".")
    if parts[0] == "classifier":
        return f"classifier.{parts[-1]}"
    step, kinds = int(parts[1]), (CONV, NORM)
    if step in (0, 18):
        place = "conv_stem.first_conv" if step == 0 else "conv_1x1"
        return f"mobilenet_v2.{place}.{kinds[int(parts[2])]}.{parts[-1]}"
    names = ("conv_3x3", "reduce_1x1") if step == 1 else ("expand_1x1", "conv_3x3", "reduce_1x1")
    within = parts[3:-1]  # conv.0.0 and conv.0.1, then the last convolution and its norm, one after the other
    place = names[int(within[0])] if len(within) == 2 else names[-1]
    norm = int(within[1]) if len(within) == 2 else int(within[0]) - (len(names) - 1)
    before = "conv_stem" if step == 1 else f"layer.{step - 2}"
    return f"mobilenet_v2.{before}.{place}.{kinds[norm]}.{parts[-1]}"


def name_mobilenet_v1(key: str) -> str:
    """timm's: blocks of 1, 2, 2, 6 and 2 at a width."""
    parts = key.split(".")
    if parts[0] == "classifier":
        return key
    if parts[0] in ("conv_stem", "bn1"):
        return f"mobilenet_v1.conv_stem.{CONV if parts[0] == 'conv_stem' else NORM}.{parts[-1]}"
    number = 2 * (sum((1, 2, 2, 6, 2)[: int(parts[1])]) + int(parts[2]))
    number += parts[3] in ("conv_pw", "bn2")
    return f"mobilenet_v1.layer.{number}.{CONV if parts[3].startswith('conv') else NORM}.{parts[-1]}"


NETWORKS: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(("resnet18", "resnet34", "resnet50"), name_resnet),
    "torchvision:regnet_x_400mf": partial(name_regnet, last=2),
    "torchvision:regnet_y_800mf": partial(name_regnet, last=3),
    **dict.fromkeys(("torchvision:convnext_tiny", "torchvision:convnext_base"), name_convnext),
    "mobilenet_v2": name_mobilenet_v2,
    "timm:mobilenetv1_100": name_mobilenet_v1,
}


def state_of(name: str) -> dict[str, Tensor]:
    """The tensors of a network without memory: each is one number, its place, in the right shape."""
    if name.startswith("timm"):
        pytest.importorskip("timm")
    with torch.device("meta") if "regnet" not in name else torch.device("cpu"):
        shapes = {key: tensor.shape for key, tensor in build(name).state_dict().items()}
    return {key: torch.tensor(float(place)).expand(shape) for place, (key, shape) in enumerate(shapes.items())}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_comes_to_its_place(name):
    expected = state_of(name)
    given = {NETWORKS[name](key): t.flatten() if key.endswith("layer_scale") else t for key, t in expected.items()}
    assert len(given) == len(expected)
    found = rename(given, {})
    assert found is not None and found.architecture == name
    assert found.tensors.keys() == expected.keys()
    for key, tensor in expected.items():
        assert found.tensors[key].shape == tensor.shape, key
        moved = 1e-3 - 1e-5 if "mobilenet" in name and key.endswith("running_var") else 0.0  # a larger ε
        assert float(found.tensors[key].flatten()[0]) == pytest.approx(float(tensor.flatten()[0]) + moved, abs=1e-4)


def test_the_larger_epsilon_of_mobilenet_is_kept_in_the_variances():
    given = {"mobilenet_v2.conv_stem.first_conv.normalization.running_var": torch.tensor([0.25, 4.0])}
    (moved,) = rename(given, {"tf_padding": False}).tensors.values()
    ours, theirs = nn.BatchNorm2d(2).eval(), nn.BatchNorm2d(2, eps=1e-3).eval()
    ours.running_var.copy_(moved)
    theirs.running_var.copy_(torch.tensor([0.25, 4.0]))
    image = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(ours(image), theirs(image), rtol=1e-6, atol=1e-6)


def test_names_of_others_are_left_alone():
    assert rename(dict.fromkeys(filled("lenet5").state_dict(), torch.ones(1)), {}) is None


CONFIG = {
    "model_type": "resnet",
    "id2label": {"0": "cat", "1": "dog", "2": "ähre"},
    "depths": [2, 2, 2, 2],
    "architectures": ["ResNetForImageClassification"],
}
PROCESSOR = {
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.2, 0.1],
    "size": {"shortest_edge": 224},
    "crop_pct": 0.875,
    "resample": 3,
}


def folder_of(path: Path, state: dict[str, Tensor], form: str) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    (path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    if form == "safetensors":
        save_file(state, path / "model.safetensors", {"format": "pt"})
    elif form == "bin":
        torch.save(state, path / "pytorch_model.bin")
        torch.save({"lr": 0.1}, path / "training_args.bin")
    else:
        half = list(state)[: len(state) // 2]
        parts = {"a": {k: state[k] for k in half}, "b": {k: v for k, v in state.items() if k not in half}}
        places = {}
        for name, part in parts.items():
            save_file(part, path / f"model-{name}.safetensors")
            places |= dict.fromkeys(part, f"model-{name}.safetensors")
        (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


@pytest.mark.parametrize("form", ["safetensors", "bin", "shards"])
def test_a_folder_is_loaded_with_its_classes_and_preprocessing(tmp_path, form):
    source = filled("resnet18", 3)
    state = {name_resnet(key): tensor.clone() for key, tensor in source.state_dict().items()}
    model = load(None, folder_of(tmp_path / "run", state, form), "cpu")
    assert (model.name, model.class_names) == ("resnet18", ["cat", "dog", "ähre"])
    found = model.preprocessing
    assert (found.size, found.resize, found.interpolation) == ((224, 224), 256, "bicubic")
    assert (list(found.mean), list(found.std)) == (PROCESSOR["image_mean"], PROCESSOR["image_std"])
    for key, tensor in source.state_dict().items():
        torch.testing.assert_close(model.module.state_dict()[key], tensor, rtol=0, atol=0)


def test_a_zip_of_the_folder_and_a_bare_file_are_loaded_too(tmp_path):
    source = filled("resnet18", 3)
    state = {name_resnet(key): tensor.clone() for key, tensor in source.state_dict().items()}
    folder = folder_of(tmp_path / "run", state, "bin")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "run")
    model = load(None, tmp_path / "packed.zip", "cpu")
    assert (model.name, model.class_names) == ("resnet18", ["cat", "dog", "ähre"])
    assert load(None, folder / "pytorch_model.bin", "cpu").class_names == ["cat", "dog", "ähre"]
    (folder / "pytorch_model.bin").rename(tmp_path / "bare.bin")
    assert load(None, tmp_path / "bare.bin", "cpu").name == "resnet18"


def test_an_index_that_leads_elsewhere_or_names_what_is_missing_is_refused(tmp_path):
    path = folder_of(tmp_path / "run", {"a.weight": torch.ones(2, 2), "b.weight": torch.ones(2)}, "shards")
    (tmp_path / "secret.safetensors").write_bytes((path / "model-b.safetensors").read_bytes())
    index = path / "model.safetensors.index.json"
    for name, reason in (
        ("../secret.safetensors", "lists no files of its own folder"),
        (str(tmp_path / "secret.safetensors"), "lists no files of its own folder"),
        ("model-c.safetensors", "names 1 file, and model-c.safetensors is not there"),
    ):
        index.write_text(json.dumps({"weight_map": {"a.weight": name}}))
        with pytest.raises(BadCheckpoint, match=f"run: model.safetensors.index.json {reason}"):
            read_weights(path)


def test_a_folder_of_another_framework_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tf_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(BadCheckpoint, match="weights of TensorFlow alone .*from_tf=True"):
        read_weights(tmp_path)


def test_mobilenets_padding_is_said():
    given = {"mobilenet_v2.conv_stem.first_conv.convolution.weight": torch.ones(1)}
    assert "pad as TensorFlow does" in rename(given, {"tf_padding": True}).warnings[0]
    assert rename(given, {"tf_padding": False}).warnings == []


PROCESSORS = {
    "a crop": (
        {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
        {"size": [224, 224], "resize": 256},
    ),
    "numbers": ({"size": 256, "do_center_crop": True, "crop_size": 224}, {"size": [224, 224], "resize": 256}),
    "a square": ({"size": {"height": 32, "width": 48}}, {"size": [32, 48], "resize": None}),
    "large images of ConvNeXt": (
        {"size": {"shortest_edge": 384}, "crop_pct": 0.875},
        {"size": [384, 384], "resize": None},
    ),
    "no normalisation": ({"do_normalize": False, "image_mean": [0.5] * 3}, {"mean": [0.0] * 3, "std": [1.0] * 3}),
    "nonsense": ({"size": "large", "image_mean": "none", "resample": 77}, None),
}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_the_settings_of_an_image_processor_are_read(kind):
    said, expected = PROCESSORS[kind]
    assert read_metadata({}, said).get("preprocessing") == expected


def test_timms_settings_are_read():
    config = {
        "architecture": "resnet18",
        "label_names": ["a", "b"],
        "pretrained_cfg": {
            "input_size": [3, 176, 160],
            "crop_pct": 0.8,
            "mean": [0.5] * 3,
            "std": [0.2] * 3,
            "interpolation": "bicubic",
        },
    }
    expected = {"mean": [0.5] * 3, "std": [0.2] * 3, "size": [176, 160], "resize": 200, "interpolation": "bicubic"}
    assert read_metadata(config, {}) == {
        "architecture": "timm:resnet18",
        "classes": ["a", "b"],
        "preprocessing": expected,
    }


@pytest.mark.parametrize("labels", [{"0": "a", "2": "b"}, ["a"], {"x": "a"}, {}])
def test_labels_with_gaps_are_no_class_names(labels):
    assert not read_metadata({"id2label": labels}, {}).get("classes")
