"""Every architecture of the catalogue against the published network: parameters and multiply-adds to the unit.

A multiply-add (MAC) is counted here on its own terms, from the shapes that convolutions and linear layers
meet in one forward pass of one image; the figures are of the papers and the released definitions."""

import math

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.models.registry import find

RGB224, RGB227, RGB299, CIFAR = (3, 224, 224), (3, 227, 227), (3, 299, 299), (3, 32, 32)
PUBLISHED = {  # name: (input, parameters, multiply-adds); None where only the parameters are published
    "lenet5": ((1, 28, 28), 61_706, 416_520),
    "lenet5_1998": ((1, 32, 32), 60_000, 325_680),
    "lenet_cifar": (CIFAR, 62_006, 651_720),
    "mlp": ((1, 28, 28), 203_530, 203_264),
    "alexnet": (RGB224, 61_100_840, 714_188_480),
    "alexnet_2012": (RGB227, 60_965_224, 724_406_816),
    "caffenet": (RGB227, 60_965_224, 724_406_816),
    "alexnet_one_tower": (RGB227, 62_378_344, 1_135_256_096),
    "zfnet": (RGB224, 62_357_608, 1_168_032_896),
    "zfnet_b": (RGB224, 107_627_624, 2_476_704_896),
    "cnn_f": (RGB224, 60_834_536, 724_005_632),
    "cnn_m": (RGB224, 102_908_520, 1_676_172_320),
    "cnn_s": (RGB224, 102_908_520, 2_637_708_320),
    "cnn_m_2048": (RGB224, 92_469_864, 1_665_735_712),
    "cnn_m_1024": (RGB224, 87_250_536, 1_660_517_408),
    "cnn_m_128": (RGB224, 82_683_624, 1_655_951_392),
    "vgg11": (RGB224, 132_863_336, 7_609_090_048),
    "vgg11_lrn": (RGB224, 132_863_336, 7_609_090_048),
    "vgg13": (RGB224, 133_047_848, 11_308_466_176),
    "vgg16_c": (RGB224, 133_638_952, 11_770_888_192),
    "vgg16": (RGB224, 138_357_544, 15_470_264_320),
    "vgg19": (RGB224, 143_667_240, 19_632_062_464),
    "vgg11_bn": (RGB224, 132_868_840, 7_609_090_048),
    "vgg13_bn": (RGB224, 133_053_736, 11_308_466_176),
    "vgg16_bn": (RGB224, 138_365_992, 15_470_264_320),
    "vgg19_bn": (RGB224, 143_678_248, 19_632_062_464),
    "nin_imagenet": (RGB224, 7_595_176, 1_100_188_800),
    "nin_cifar10": (CIFAR, 966_986, 222_486_528),
    "all_cnn_a": (CIFAR, 1_254_250, 191_520_768),
    "all_cnn_b": (CIFAR, 1_300_618, 210_395_136),
    "all_cnn_c": (CIFAR, 1_369_738, 270_798_336),
    "dsn_cifar10": (CIFAR, 3_547_496, 225_067_008),
    "maxout_cifar10": (CIFAR, 16_247_830, 732_290_696),
    "maxout_mnist": ((1, 28, 28), 418_714, 30_746_736),
    "googlenet": (RGB224, 6_624_904, 1_498_376_192),
    "googlenet_2014": (RGB224, 6_998_552, 1_582_671_872),
    "bn_inception": (RGB224, 11_194_984, 2_018_851_840),
    "inception_v3": (RGB299, 23_834_568, 5_713_216_096),
    "naive_inception": ((256, 28, 28), 1_089_952, 854_196_224),
    "reduced_inception": ((256, 28, 28), 346_720, 271_351_808),
    "resnet18": (RGB224, 11_689_512, 1_814_073_344),
    "resnet34": (RGB224, 21_797_672, 3_663_761_408),
    "resnet50": (RGB224, 25_557_032, 4_089_184_256),
    "resnet101": (RGB224, 44_549_160, 7_801_405_440),
    "resnet152": (RGB224, 60_192_808, 11_513_626_624),
    "resnet50_v1": (RGB224, 25_557_032, 3_857_973_248),
    "resnet101_v1": (RGB224, 44_549_160, 7_570_194_432),
    "resnet152_v1": (RGB224, 60_192_808, 11_282_415_616),
    "resnet18_a": (RGB224, 11_515_688, 1_794_805_760),
    "resnet34_a": (RGB224, 21_623_848, 3_644_493_824),
    "resnet34_c": (RGB224, 22_716_840, 3_830_747_136),
    "plain18": (RGB224, 11_515_688, 1_794_805_760),
    "plain34": (RGB224, 21_623_848, 3_644_493_824),
    "resnet20_cifar": (CIFAR, 269_722, 40_551_040),
    "resnet32_cifar": (CIFAR, 464_154, 68_862_592),
    "resnet44_cifar": (CIFAR, 658_586, 97_174_144),
    "resnet56_cifar": (CIFAR, 853_018, 125_485_696),
    "resnet110_cifar": (CIFAR, 1_727_962, 252_887_680),
    "resnet1202_cifar": (CIFAR, 19_421_274, 2_829_238_912),
    "plain20_cifar": (CIFAR, 269_722, 40_551_040),
    "plain32_cifar": (CIFAR, 464_154, 68_862_592),
    "plain44_cifar": (CIFAR, 658_586, 97_174_144),
    "plain56_cifar": (CIFAR, 853_018, 125_485_696),
    "plain110_cifar": (CIFAR, 1_727_962, 252_887_680),
    "resnet20_cifar_b": (CIFAR, 272_474, 40_813_184),
    "resnet56_cifar_b": (CIFAR, 855_770, 125_747_840),
    "resnet110_cifar_b": (CIFAR, 1_730_714, 253_149_824),
    "resnet56_noshort": (CIFAR, 853_018, 125_485_696),
    "resnet110_constant_scaling": (CIFAR, 1_727_962, 252_887_680),
    "resnet110_exclusive_gating": (CIFAR, 1_824_186, 266_781_312),
    "resnet110_shortcut_gating": (CIFAR, 1_824_186, 266_781_312),
    "resnet110_conv_shortcut": (CIFAR, 1_822_170, 266_781_312),
    "resnet110_dropout_shortcut": (CIFAR, 1_727_962, 252_887_680),
    "preact_resnet164": (CIFAR, 1_703_258, 244_500_992),
    "preact_resnet1001": (CIFAR, 10_327_706, 1_487_849_984),
    "stochastic_depth110": (CIFAR, 1_727_962, 252_887_680),
    "stochastic_depth1202": (CIFAR, 19_421_274, 2_829_238_912),
    "wrn_16_4": (CIFAR, 2_748_890, 392_612_352),
    "wrn_16_8": (CIFAR, 10_961_370, 1_548_145_664),
    "wrn_28_10": (CIFAR, 36_479_194, 5_243_328_768),
    "highway19_cifar10": (CIFAR, 2_256_838, 330_826_728),
    "fractalnet_c3b5": (CIFAR, 33_724_618, 845_222_912),
    "densenet121": (RGB224, 7_978_856, 2_834_161_664),
    "densenet169": (RGB224, 14_149_480, 3_359_843_328),
    "densenet201": (RGB224, 20_013_928, 4_291_365_888),
    "densenet264": (RGB224, 33_337_704, 5_751_653_376),
    "densenet_40_k12": (CIFAR, 1_019_722, 264_812_928),
    "densenet_100_k12": (CIFAR, 6_979_642, 1_769_516_448),
    "densenet_100_k24": (CIFAR, 27_249_082, 6_889_347_744),
    "densenet_bc_100_k12": (CIFAR, 769_162, 287_929_692),
    "densenet_bc_250_k24": (CIFAR, 15_324_406, 5_418_785_724),
    "densenet_bc_190_k40": (CIFAR, 25_624_430, 9_301_945_740),
    "mobilenet_v1": (RGB224, 4_231_976, 568_740_352),
    "mobilenet_v2": (RGB224, 3_504_872, 300_774_272),
    "mobilenet_v3_small": (RGB224, 2_542_856, 56_510_400),
    "mobilenet_v3_large": (RGB224, 5_483_032, 216_589_760),
    "squeezenet1_0": (RGB224, 1_248_424, 818_924_576),
    "squeezenet1_1": (RGB224, 1_235_496, 349_151_936),
}
CLASSES = {224: 1000, 227: 1000, 299: 1000, 32: 10, 28: 10}  # by the side of the input
MODULES = {"naive_inception": (672, 28, 28), "reduced_inception": (480, 28, 28)}  # blocks without a classifier
REAL = sorted(name for name, (_, parameters, _) in PUBLISHED.items() if parameters < 30_000_000)


def multiply_adds(module: nn.Module, image: torch.Tensor) -> int:
    """Σ C_out · H_out · W_out · (C_in / groups) · k_h · k_w and in · out over all calls of one forward pass."""
    counts: list[int] = []

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        if isinstance(layer, nn.Linear):
            counts.append(layer.in_features * layer.out_features)
        else:
            window = layer.in_channels // layer.groups * math.prod(layer.kernel_size)
            counts.append(math.prod(output.shape[1:]) * window)

    kinds = (nn.Conv2d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, kinds)]
    module.eval()(image)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def output_shape(name: str, size: tuple[int, int, int]) -> tuple[int, ...]:
    return MODULES.get(name, (CLASSES[size[1]],))


def test_the_catalogue_holds_the_published_networks_and_no_others():
    assert set(cnnviz.architectures()) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiply_adds_are_the_published_ones(name):
    size, parameters, macs = PUBLISHED[name]
    with torch.device("meta"):
        module = cnnviz.build(name)
        image = torch.zeros(1, *size)
    assert find(name).input_size == size
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert multiply_adds(module, image) == macs
    assert tuple(module(image).shape[1:]) == output_shape(name, size)


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_a_real_image_gives_finite_answers(name):
    size = PUBLISHED[name][0]
    torch.manual_seed(0)
    module = cnnviz.build(name).eval()
    with torch.inference_mode():
        output = module(torch.randn(1, *size))
    assert tuple(output.shape) == (1, *output_shape(name, size))
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("name", ["googlenet_2014"])
def test_auxiliary_heads_come_on_request(name):
    with torch.device("meta"):
        module = cnnviz.build(name, aux=True)
        outputs = module.train()(torch.zeros(2, *RGB224))
    assert sum(p.numel() for p in module.parameters()) == 13_378_280
    assert [tuple(output.shape) for output in outputs] == [(2, 1000)] * 3


@pytest.mark.parametrize("name", ["lenet5_1998", "nin_cifar10", "maxout_mnist", "wrn_16_4", "bn_inception", "zfnet"])
def test_another_number_of_classes_changes_the_head_alone(name):
    with torch.device("meta"):
        own, ten = cnnviz.build(name, 7), cnnviz.build(name)
        image = torch.zeros(1, *PUBLISHED[name][0])
        assert tuple(own.eval()(image).shape) == (1, 7)
    changed = [key for key, value in own.state_dict().items() if value.shape != ten.state_dict()[key].shape]
    assert 1 <= len(changed) <= 2
