"""Networks that have the tensors of another one, names too: which of them a file is taken for."""

TWINS = {  # name: the likelier one with the same tensors
    **{f"plain{depth}_cifar": f"resnet{depth}_cifar" for depth in (20, 32, 44, 56, 110)},
    **{f"stochastic_depth{depth}": f"resnet{depth}_cifar" for depth in (110, 1202)},
    **{f"resnet{depth}_v1": f"resnet{depth}" for depth in (50, 101, 152)},
    **{f"plain{depth}": f"resnet{depth}_a" for depth in (18, 34)},
    "resnet56_noshort": "resnet56_cifar",
    "resnet110_constant_scaling": "resnet110_cifar",
    "resnet110_dropout_shortcut": "resnet110_cifar",
    "resnet110_shortcut_gating": "resnet110_exclusive_gating",
    "caffenet": "alexnet_2012",
    **{f"lenet5_{kind}": "lenet5" for kind in ("avg", "tanh", "sigmoid")},
    "lenet5_c5_tanh": "lenet5_c5",
}
LENET5 = ("lenet5", "lenet5_avg", "lenet5_tanh", "lenet5_sigmoid")  # all with the tensors of the first


def first_of_its_twins(name: str) -> str:
    return TWINS.get(name, name)
