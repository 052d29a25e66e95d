"""Show a network's layers: kind, output shape, receptive field and stride.

NETWORK is an architecture of `cnnviz list`, or a weights file."""

import argparse

from cnnviz.cli.common import add_network, open_network


def arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_network(parser)


def run(options: argparse.Namespace) -> None:
    """Print the table."""
    from cnnviz.models.loaded import layer_kinds
    from cnnviz.probes.capture import layer_shapes
    from cnnviz.probes.receptive import receptive_field

    model = open_network(options)
    kinds, shapes = layer_kinds(model.module), layer_shapes(model)
    wide = max(len(layer) for layer in shapes)
    print(f"{'layer':{wide}}  {'kind':6}  {'output':>14}  {'receptive field':>15}  stride")
    for layer, shape in shapes.items():
        field = receptive_field(model, layer)
        size = f"{field.size[0]}×{field.size[1]}"
        print(f"{layer:{wide}}  {kinds[layer]:6}  {'×'.join(map(str, shape)):>14}  {size:>15}  {field.stride[0]:g}")
    parameters = sum(p.numel() for p in model.module.parameters())
    size = "×".join(map(str, model.input_size))
    print(f"\n{model.name}: {parameters:,} parameters, input {size}, {model.origin} weights")
