"""Making a network ready to be looked into: out of torch.compile, with its lazy layers in their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnviz.errors import BadInput

if TYPE_CHECKING:
    from torch import nn


def prepare(module: Any, input_size: tuple[int, int, int], name: str) -> nn.Module:
    """`module` without what torch.compile has put around it or its parts, whose hooks would not be called, and with
    lazy layers in the sizes that an image (C, H, W) gives them.

    Raises BadInput for what is no nn.Module, for TorchScript, and where lazy layers do not take such an image."""
    import torch
    from torch import nn

    if not isinstance(module, nn.Module):
        raise BadInput(f"{name} is a {type(module).__name__}; a network is an nn.Module.")
    module = _uncompile(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise BadInput(
            f"{name} is TorchScript, whose layers cannot be looked into. Register the class that it was made of, and "
            "load its weights: `scripted.state_dict()`."
        )
    if has_lazy_layers(module):
        materialise(module, input_size, name)
    return module


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

    return any(is_lazy(t) for child in module.modules() for t in (*child._parameters.values(), *child._buffers.values()))


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
