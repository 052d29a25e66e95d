"""What an ONNX graph says about a network: its layers' tensors as PyTorch names and lays them out, and, where it is a
chain, its modules with their settings.

Source: the operators' definitions, onnx.ai/onnx/operators, default opset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.models.checkpoint.formats.onnx_graph import OnnxGraph, OnnxNode, read_graph
from cnnviz.models.checkpoint.saved_modules import SavedModule, SavedState

if TYPE_CHECKING:
    from torch import Tensor

_MODULES = "torch.nn.modules."
_PARTS = {
    "Conv": ("weight", "bias"),
    "ConvTranspose": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "MatMul": ("weight",),
    "BatchNormalization": ("weight", "bias", "running_mean", "running_var"),
    "InstanceNormalization": ("weight", "bias"),
    "LayerNormalization": ("weight", "bias"),
    "PRelu": ("weight",),
}  # operation → what its inputs after the first are in PyTorch's layer
_SHAPES = set(
    "Shape Gather Unsqueeze Concat Constant Cast Slice ConstantOfShape".split()
)  # the way to a Reshape's sizes
_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # transpositions of (N, C, H, W) to (N, H, W, C), and back
_FLATTEN = "flatten.Flatten"
_WITHOUT_AXES = {_FLATTEN, "linear.Linear", "dropout.Dropout"} | {
    f"activation.{kind}" for kind in "ReLU ReLU6 Sigmoid Tanh Hardswish Softplus LeakyReLU ELU".split()
}  # what computes the same wherever the channels stand


class _NoChain(Exception):
    """The graph is no chain of layers that have a module; the text says where."""


def read_onnx(path: Path, metadata: dict[str, Any], warnings: list[str]) -> SavedState:
    """The tensors of the layers in the order of the operations, "conv1.weight" where the file has other names than
    PyTorch's; weights of MatMul and Gemm as nn.Linear has them. `modules` where the graph is a chain, else ().

    The size of the input enters `metadata` as "input_size", (C, H, W), a sentence `warnings` where the order of a
    linear layer's inputs is not known. Raises BadCheckpoint as `read_graph`."""
    graph = read_graph(path)
    constants = _find_constants(graph)
    state, layers = SavedState(), {}
    counts: dict[str, int] = {}
    for node in graph.nodes:
        if node.kind in _PARTS:
            layers[id(node)] = layer = _name(node, constants, counts)
            state |= _read_layer(node, layer, constants)
    biases = _add_biases(graph, constants, layers, state)
    taken = {name for node in graph.nodes if node.kind in _PARTS for name in node.inputs} | biases
    used = {id(constants[name]) for name in taken if name in constants}
    for name, tensor in graph.tensors.items():
        if tensor.is_floating_point() and tensor.ndim and id(tensor) not in used and _clean(name) not in state:
            state[_clean(name)] = tensor
    try:
        state.modules, swapped = _read_chain(graph, constants, layers, biases, state)
        for layer, channels in swapped.items():
            state[f"{layer}.weight"] = _put_channels_first(state[f"{layer}.weight"], channels)
    except _NoChain:
        state.modules = ()
        if any(node.kind == "Transpose" and node.settings.get("perm") == _TO_LAST for node in graph.nodes):
            warnings.append(
                "The file has channels last, as TensorFlow has, and is no chain: inputs of a linear layer may stand in "
                "another order than PyTorch's, rows and columns first. Check a few predictions."
            )
    size = graph.image[1]
    first = next((node for node in graph.nodes if node.kind == "Conv" and node.inputs[0] == graph.image[0]), None)
    if len(size) == 4 and first is not None and min(size[1:]) > 0:
        metadata["input_size"] = list(size[1:])
    metadata |= {key: value for key, value in graph.metadata.items() if key not in metadata}
    return state


def _find_constants(graph: OnnxGraph) -> dict[str, Tensor]:
    """The tensors of the file and of Constant nodes, also under the names that Identity and Unsqueeze give them."""
    constants = dict(graph.tensors)
    for node in graph.nodes:
        if node.kind == "Constant" and hasattr(node.settings.get("value"), "ndim"):
            constants |= dict.fromkeys(node.outputs, node.settings["value"])
        elif node.kind in ("Identity", "Unsqueeze") and node.inputs and node.inputs[0] in constants:
            constants |= dict.fromkeys(node.outputs, constants[node.inputs[0]])
    return constants


def _name(node: OnnxNode, constants: Mapping[str, Tensor], counts: dict[str, int]) -> str:
    """What PyTorch calls the layer: by the name of its weight, else by its kind and number."""
    kind = {"BatchNormalization": "bn", "Gemm": "fc", "MatMul": "fc"}.get(node.kind, node.kind.lower())
    counts[kind] = counts.get(kind, 0) + 1
    weight = next((name for name in node.inputs[1:] if name in constants), "")
    found = re.fullmatch(r"([A-Za-z_][\w.]*|\d[\w.]*)\.(weight|bias)", weight)
    return found[1] if found else f"{kind}{counts[kind]}"


def _read_layer(node: OnnxNode, layer: str, constants: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    names = node.inputs[1:] if node.kind != "MatMul" else [name for name in node.inputs if name in constants]
    for part, name in zip(_PARTS[node.kind], names, strict=False):
        tensor = constants.get(name)
        if tensor is None:
            continue
        if part == "weight" and tensor.ndim == 2 and (node.kind == "MatMul" or not node.settings.get("transB", 0)):
            tensor = tensor.T.contiguous()
        if node.kind == "Gemm":
            tensor = tensor * node.settings.get("alpha" if part == "weight" else "beta", 1.0)
        found[f"{layer}.{part}"] = tensor.reshape(-1) if node.kind == "PRelu" else tensor
    return found


def _add_biases(
    graph: OnnxGraph, constants: Mapping[str, Tensor], layers: dict[int, str], state: SavedState
) -> set[str]:
    """The names of the constants that an Add after a layer without bias adds: they become its bias, in `state`."""
    made = {name: node for node in graph.nodes for name in node.outputs}
    found: set[str] = set()
    for node in graph.nodes:
        added = next((name for name in node.inputs if name in constants), "")
        before = next((made[name] for name in node.inputs if name in made and name not in constants), node)
        if node.kind != "Add" or len(node.inputs) != 2 or not added or before.kind not in ("MatMul", "Conv"):
            continue
        layer, bias = layers[id(before)], constants[added]
        weight = state.get(f"{layer}.weight")
        if f"{layer}.bias" not in state and weight is not None and bias.numel() == weight.shape[0]:
            state[f"{layer}.bias"] = bias.reshape(-1)
            found.add(added)
    places = {layer: place for place, layer in enumerate(dict.fromkeys(key.rpartition(".")[0] for key in state))}
    ordered = sorted(state.items(), key=lambda item: places[item[0].rpartition(".")[0]])
    state.clear()
    state |= dict(ordered)
    return found


def _clean(name: str) -> str:
    return re.sub(r"[^\w.]+", "_", name).strip("_.") or "tensor"


# ---- chains ------------------------------------------------------------------------------------------------


def _read_chain(
    graph: OnnxGraph, constants: Mapping[str, Tensor], layers: dict[int, str], biases: set[str], state: SavedState
) -> tuple[tuple[SavedModule, ...], dict[str, int]]:
    """The modules from the input to the output; and of linear layers that read maps with channels last the number of
    these channels. Raises _NoChain where the graph branches or has another operation."""
    readers: dict[str, list[OnnxNode]] = {}
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            readers.setdefault(name, []).append(node)
    found, at, counts = [SavedModule("", "onnx", {})], graph.image[0], dict[str, int]()
    channels, is_last, swapped = 0, False, dict[str, int]()
    for _ in range(len(graph.nodes) + 1):
        nexts = [node for node in readers.get(at, []) if node.kind not in _SHAPES]
        if not nexts:
            return tuple(found), swapped
        if len(nexts) > 1 or nexts[0].inputs[0] != at and nexts[0].kind != "Add":
            raise _NoChain(f"{at} is read by {len(nexts)} operations")
        node = nexts[0]
        if node.kind == "Transpose":
            is_last = _turn(node, is_last, at == graph.image[0])
        at = node.outputs[0]
        if node.kind in ("Identity", "Transpose") or (node.kind == "Add" and biases & set(node.inputs)):
            continue
        for kind, settings in _translate(node, constants, layers, state):
            if is_last and kind not in _WITHOUT_AXES:
                raise _NoChain("channels last")
            if kind == _FLATTEN and is_last and channels:
                flat = channels
            elif kind == "linear.Linear" and is_last:
                swapped[layers[id(node)]], is_last = flat, False
            channels = settings.get("out_channels", channels)
            counts[kind] = counts.get(kind, 0) + 1
            path = layers.get(id(node)) or f"{kind.rpartition('.')[2].lower()}{counts[kind]}"
            found.append(SavedModule(path, _MODULES + kind, settings))
    raise _NoChain("the graph does not end")


def _turn(node: OnnxNode, is_last: bool, at_image: bool) -> bool:
    """Whether the channels stand last after a Transpose."""
    order = node.settings.get("perm")
    if order == _TO_LAST and not is_last:
        return True
    if order == _TO_FIRST and (is_last or at_image):
        return False
    raise _NoChain("a transposition of other axes")


def _put_channels_first(weight: Tensor, channels: int) -> Tensor:
    """A linear layer's weight for inputs (C, H, W), from the one for (H, W, C)."""
    return weight.unflatten(1, (-1, channels)).transpose(1, 2).flatten(1).contiguous()


def _translate(
    node: OnnxNode, constants: Mapping[str, Tensor], layers: dict[int, str], state: SavedState
) -> list[tuple[str, dict[str, Any]]]:
    """(class in torch.nn.modules, settings) of an operation. Raises _NoChain for one that no module is equal to."""
    translate = _TRANSLATIONS.get(node.kind)
    if translate is None:
        raise _NoChain(f"the operation {node.kind}")
    made = [translate(node, constants, state.get(f"{layers.get(id(node))}.weight"))]
    flat = node.kind == "ReduceMean" and not node.settings.get("keepdims", 1)
    return [*made, (_FLATTEN, {"start_dim": 1, "end_dim": -1})] if flat else made


def _pads(node: OnnxNode, sides: int = 2) -> tuple[int, ...]:
    """(top, left) where the padding below and to the right is the same."""
    auto = node.settings.get("auto_pad", "NOTSET")
    pads = node.settings.get("pads") or [0] * (2 * sides)
    if auto not in ("NOTSET", "VALID", "") or len(pads) != 2 * sides or pads[:sides] != pads[sides:]:
        raise _NoChain("padding that is not the same on both sides")
    return tuple(pads[:sides])


def _window(node: OnnxNode) -> dict[str, Any]:
    size = tuple(node.settings.get("kernel_shape") or ())
    stride = tuple(node.settings.get("strides") or (1, 1))
    if not len(size) == len(stride) == 2:
        raise _NoChain("a window that is not of rows and columns")
    return {"kernel_size": size, "stride": stride, "padding": _pads(node)}


def _conv(node: OnnxNode, _constants: Mapping[str, Tensor], weight: Tensor | None) -> tuple[str, dict[str, Any]]:
    if weight is None or weight.ndim != 4:
        raise _NoChain("a convolution that is not of rows and columns")
    groups = node.settings.get("group", 1)
    node.settings.setdefault("kernel_shape", list(weight.shape[2:]))
    settings = {"in_channels": weight.shape[1] * groups, "out_channels": weight.shape[0], **_window(node)}
    dilation = tuple(node.settings.get("dilations") or (1, 1))
    return "conv.Conv2d", {**settings, "dilation": dilation, "groups": groups, "padding_mode": "zeros"}


def _linear(node: OnnxNode, _constants: Mapping[str, Tensor], weight: Tensor | None) -> tuple[str, dict[str, Any]]:
    if weight is None or weight.ndim != 2 or node.settings.get("transA", 0):
        raise _NoChain("a product that is no linear layer")
    return "linear.Linear", {"in_features": weight.shape[1], "out_features": weight.shape[0]}


def _norm(node: OnnxNode, _constants: Mapping[str, Tensor], weight: Tensor | None) -> tuple[str, dict[str, Any]]:
    if weight is None or node.settings.get("training_mode", 0):
        raise _NoChain("a batch norm that is still trained")
    eps = round(node.settings.get("epsilon", 1e-5), 12)
    return "batchnorm.BatchNorm2d", {"num_features": weight.shape[0], "eps": eps, "affine": True}


def _max_pool(node: OnnxNode, *_unused: Any) -> tuple[str, dict[str, Any]]:
    dilation = tuple(node.settings.get("dilations") or (1, 1))
    return "pooling.MaxPool2d", {
        **_window(node),
        "dilation": dilation,
        "ceil_mode": bool(node.settings.get("ceil_mode", 0)),
    }


def _average_pool(node: OnnxNode, *_unused: Any) -> tuple[str, dict[str, Any]]:
    settings = {"ceil_mode": bool(node.settings.get("ceil_mode", 0))}
    counted = bool(node.settings.get("count_include_pad", 0))
    return "pooling.AvgPool2d", {**_window(node), **settings, "count_include_pad": counted}


def _reduce_mean(node: OnnxNode, constants: Mapping[str, Tensor], _weight: Tensor | None) -> tuple[str, dict[str, Any]]:
    axes = node.settings.get("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1] in constants:
        axes = constants[node.inputs[1]].tolist()
    if sorted(axis % 4 for axis in axes or ()) != [2, 3]:
        raise _NoChain("a mean that is not over rows and columns")
    return "pooling.AdaptiveAvgPool2d", {"output_size": 1}


def _flatten(node: OnnxNode, *_unused: Any) -> tuple[str, dict[str, Any]]:
    if node.settings.get("axis", 1) != 1:
        raise _NoChain("a flattening that is not of one image")
    return _FLATTEN, {"start_dim": 1, "end_dim": -1}


def _reshape(node: OnnxNode, constants: Mapping[str, Tensor], _weight: Tensor | None) -> tuple[str, dict[str, Any]]:
    """To a row an image: sizes that are computed do that, as x.view(x.size(0), -1) is exported."""
    sizes = constants[node.inputs[1]].tolist() if node.inputs[1] in constants else None
    if sizes is not None and len(sizes) != 2:
        raise _NoChain("a reshape that is no flattening")
    return _FLATTEN, {"start_dim": 1, "end_dim": -1}


def _softmax(kind: str) -> Callable[..., tuple[str, dict[str, Any]]]:
    return lambda node, *_unused: (f"activation.{kind}", {"dim": node.settings.get("axis", -1)})


def _clip(node: OnnxNode, constants: Mapping[str, Tensor], _weight: Tensor | None) -> tuple[str, dict[str, Any]]:
    limits = [float(constants[name]) if name in constants else None for name in node.inputs[1:3]]
    low = limits[0] if limits else node.settings.get("min")
    high = limits[1] if len(limits) > 1 else node.settings.get("max")
    if (low, high) != (0.0, 6.0):
        raise _NoChain("limits other than 0 and 6")
    return "activation.ReLU6", {"inplace": False}


def _plain(kind: str, **settings: tuple[str, float]) -> Callable[..., tuple[str, dict[str, Any]]]:
    """An operation with settings: PyTorch's name = (ONNX's name, default)."""

    def translate(node: OnnxNode, *_unused: Any) -> tuple[str, dict[str, Any]]:
        return kind, {
            ours: round(node.settings.get(theirs, default), 7) for ours, (theirs, default) in settings.items()
        }

    return translate


_TRANSLATIONS: dict[str, Callable[..., tuple[str, dict[str, Any]]]] = {
    "Conv": _conv,
    "Gemm": _linear,
    "MatMul": _linear,
    "BatchNormalization": _norm,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda *_unused: ("pooling.AdaptiveAvgPool2d", {"output_size": 1}),
    "GlobalMaxPool": lambda *_unused: ("pooling.AdaptiveMaxPool2d", {"output_size": 1}),
    "ReduceMean": _reduce_mean,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _flatten,
    "Dropout": _plain("dropout.Dropout", p=("ratio", 0.5)),
    "Relu": _plain("activation.ReLU"),
    "Sigmoid": _plain("activation.Sigmoid"),
    "Tanh": _plain("activation.Tanh"),
    "HardSwish": _plain("activation.Hardswish"),
    "Softplus": _plain("activation.Softplus"),
    "LeakyRelu": _plain("activation.LeakyReLU", negative_slope=("alpha", 0.01)),
    "Elu": _plain("activation.ELU", alpha=("alpha", 1.0)),
    "PRelu": _plain("activation.PReLU"),
    "Softmax": _softmax("Softmax"),
    "LogSoftmax": _softmax("LogSoftmax"),
    "Clip": _clip,
    "LRN": _plain(
        "normalization.LocalResponseNorm",
        **{"size": ("size", 5), "alpha": ("alpha", 1e-4), "beta": ("beta", 0.75), "k": ("bias", 1.0)},
    ),
}
