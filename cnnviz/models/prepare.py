"""Making a network ready to be looked into: out of torch.compile and checkpointing, lazy layers in their sizes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cnnviz.errors import BadInput

if TYPE_CHECKING:
    from torch import nn


def prepare(module: Any, input_size: tuple[int, int, int], name: str) -> nn.Module:
    """`module` without what torch.compile has put around it or its parts, whose hooks would not be called, and with
    lazy layers in the sizes that an image (C, H, W) gives them.

    Raises BadInput for what is no nn.Module, for TorchScript, also as a part, and where lazy layers do not take such an
    image."""
    from torch import nn

    if not isinstance(module, nn.Module):
        raise BadInput(f"{name} is a {type(module).__name__}; a network is an nn.Module.")
    module = _uncompile(module)
    refuse_scripted(module, name)
    if has_lazy_layers(module):
        materialise(module, input_size, name)
    return module


def refuse_scripted(module: nn.Module, name: str) -> None:
    """Raise BadInput if a part of the network, or all of it, is TorchScript: PyTorch calls no hooks there."""
    import torch

    scripted = [path for path, child in module.named_modules() if isinstance(child, torch.jit.ScriptModule)]
    if scripted:
        part = f"{name}: its part {scripted[0]!r}" if scripted[0] else name
        raise BadInput(
            f"{part} is TorchScript, whose layers cannot be looked into. Register the class that it was made of, and "
            "load its weights: `scripted.state_dict()`."
        )


def _uncompile(module: nn.Module) -> nn.Module:
    module = getattr(module, "_orig_mod", module) if type(module).__name__ == "OptimizedModule" else module
    for parent in list(module.modules()):
        if getattr(parent, "_compiled_call_impl", None) is not None:  # by `module.compile()`
            parent._compiled_call_impl = None
        for key, child in list(parent._modules.items()):
            if type(child).__name__ == "OptimizedModule":
                parent._modules[key] = child._orig_mod  # type: ignore[union-attr]
    return module


def has_lazy_layers(module: nn.Module) -> bool:
    """Whether tensors of the network have no shape yet."""
    from torch.nn.parameter import is_lazy

    return any(
        t is not None and is_lazy(t)
        for child in module.modules()
        for t in (*child._parameters.values(), *child._buffers.values())
    )


def materialise(module: nn.Module, input_size: tuple[int, int, int], name: str) -> None:
    """Give lazy layers their shapes by a pass over an empty image (C, H, W), on the device that they will be on."""
    import torch

    mode = module.training
    try:
        with torch.no_grad(), torch.inference_mode(False):
            module.eval()(torch.zeros(1, *input_size))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BadInput(f"{name} has lazy layers and does not run on one image {input_size}: {reason}") from error
    finally:
        module.train(mode)


_plain, _patching, _inside = threading.local(), threading.Lock(), 0


@contextmanager
def without_checkpointing() -> Iterator[None]:
    """Inside, `torch.utils.checkpoint` runs functions of this thread as they are, and nothing is computed a second time
    while gradients go back: there the rules for rectifiers would be off, and with use_reentrant=True no gradient could
    be had of what is inside. Other threads do not notice."""
    import torch.utils.checkpoint as library

    global _inside
    with _patching:
        if not _inside:
            names = [name for name in vars(library) if name.startswith("_checkpoint_without_reentrant_generator")]
            _original.update({name: getattr(library, name) for name in ("CheckpointFunction", *names)})
            for name, own in _original.items():
                bypass = _bypass_function if name == "CheckpointFunction" else _bypass_generator
                setattr(library, name, bypass(own))
        _inside += 1
    _plain.depth = getattr(_plain, "depth", 0) + 1
    try:
        yield
    finally:
        _plain.depth -= 1
        with _patching:
            _inside -= 1
            if not _inside:
                for name, value in _original.items():
                    setattr(library, name, value)


_original: dict[str, Any] = {}


def _bypass_function(function: Any) -> Any:
    class PlainCall:
        @staticmethod
        def apply(called: Any, preserve: Any, *given: Any) -> Any:
            return called(*given) if getattr(_plain, "depth", 0) else function.apply(called, preserve, *given)

    return PlainCall


def _bypass_generator(generator: Any) -> Any:
    def run(*given: Any, **named: Any) -> Iterator[None]:
        if getattr(_plain, "depth", 0):
            yield
        else:
            yield from generator(*given, **named)

    return run
