"""Multiply-adds of a forward pass, counted where they are computed: at the ATen operations of convolutions and products
of matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cnnviz.tracing.rf_call import find_tensors
from cnnviz.tracing.rf_storage import find_storage

LAYERS = frozenset(
    "linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "multi_head_attention_forward lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell".split()
)  # functions that are layers with weights, whatever their input is made of


class MultiplyAdds(TorchDispatchMode):
    """Inside `with`, adds up in `count` the multiply-adds of convolutions and of products of a matrix with learned
    values: linear layers, attention's projections, recurrent cells, `x @ weight`. Products of values that both come
    from the input, as queries with keys, are none, nor is what is multiplied element by element, nor a product
    of learned values alone, but within a layer (`in_layer`)."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keeps PyTorch from importing its compiler, which takes two seconds, at the first operation."""
        return False

    def __init__(self, learned: Iterable[Tensor]) -> None:
        super().__init__()
        self.count = 0
        self.in_layer = False
        self._learned: dict[int, Any] = {}  # memory made of parameters alone, kept so that its address stays its own
        for tensor in learned:
            self._note(tensor, True)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = list(find_tensors([*args, *(kwargs or {}).values()]))
        learned = [self._is_learned(tensor) for tensor in inputs]
        name = func._schema.name.removeprefix("aten::")
        if name in _COUNTS and any(learned) or name == "convolution":
            operands = _OPERANDS.get(name, slice(None))
            mixed = any(learned[operands]) and not all(learned[operands])
            if mixed or self.in_layer or name == "convolution":
                self.count += _COUNTS[name](args, inputs, next(find_tensors([result])))
        alone = bool(inputs) and all(learned)
        for tensor in find_tensors([result]):
            self._note(tensor, alone)
        return result

    def _is_learned(self, tensor: Tensor) -> bool:
        return find_storage(tensor) in self._learned

    def _note(self, tensor: Tensor, learned: bool) -> None:
        key = find_storage(tensor)
        if key is not None and learned:
            self._learned[key] = tensor.untyped_storage()
        elif key is not None:
            self._learned.pop(key, None)


def _convolution(args: Any, inputs: list[Tensor], output: Tensor) -> int:
    x, weight = args[0], args[1]
    places = x if args[6] else output
    rank = weight.ndim - 2
    return weight.numel() * prod(places.shape[-rank:]) * (x.shape[0] if x.ndim == rank + 2 else 1)


def _product(args: Any, inputs: list[Tensor], output: Tensor) -> int:
    """Of the last two tensors (…, n, k) and (…, k, m) or (k,)."""
    left, right = inputs[-2:]
    return left.numel() * (right.shape[-1] if right.ndim > 1 else 1)


def _linear(args: Any, inputs: list[Tensor], output: Tensor) -> int:
    return args[0].numel() * args[1].shape[0]


def _trilinear(args: Any, inputs: list[Tensor], output: Tensor) -> int:
    """Of a bilinear layer: every weight with each pair of vectors."""
    weight = max(inputs, key=lambda tensor: tensor.ndim * (tensor.shape[0] > 1))
    return weight.numel() * (output.numel() // max(output.shape[-1], 1))


def _recurrent(args: Any, inputs: list[Tensor], output: Tensor) -> int:
    """Weights of one layer in one direction, used at every step of a sequence (time, batch, features)."""
    weights = [tensor for tensor in inputs[1:] if tensor.ndim == 2]
    return sum(weight.numel() for weight in weights) * inputs[0].shape[0] * inputs[0].shape[1]


_COUNTS: dict[str, Callable[[Any, list[Tensor], Tensor], int]] = {
    "convolution": _convolution,
    "linear": _linear,
    "mm": _product,
    "addmm": _product,
    "bmm": _product,
    "baddbmm": _product,
    "addbmm": _product,
    "mv": _product,
    "addmv": _product,
    "dot": _product,
    "_trilinear": _trilinear,
    "mkldnn_rnn_layer": _recurrent,
}
_OPERANDS = {name: slice(-2, None) for name in "mm addmm bmm baddbmm addbmm mv addmv dot".split()}
