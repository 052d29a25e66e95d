"""Counting questions of the lecture notes with computed answers; errors of the notes are marked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cnnviz.studies.convolution.convolution import output_size
from cnnviz.studies.convolution.cost import FLOAT, Cost, conv_cost, dense_cost, inception_cost
from cnnviz.studies.convolution.toeplitz import build_toeplitz

REDUCE = (64, 64, 64)


@dataclass(frozen=True, slots=True)
class Question:
    """`key`: a word for addresses. `value`: the right answer in `unit`. `working`: how it comes about. `notes_say`:
    what the notes give, None if they only ask. `remark`: what is wrong with that, or which convention it needs; "" if
    nothing. `notes_right`: False where the notes' number or sentence is wrong."""

    key: str
    text: str
    value: float
    unit: str
    working: str
    notes_say: float | None = None
    remark: str = ""
    notes_right: bool = True


def list_questions() -> tuple[Question, ...]:
    """All of them, in the order of the playground."""
    return (*_dense(), *_kernels(), *_stacks(), *_modules(), *_sizes(), *_memory(), *_connections(), *_training())


def find_question(key: str) -> Question | None:
    """The question of this key; None if there is none."""
    return next((q for q in list_questions() if q.key == key), None)


def _ask(
    words: tuple[str, str],
    answer: tuple[float, str, str],
    notes: tuple[float | None, str] = (None, ""),
    notes_right: bool = True,
) -> Question:
    """A question from its (key, text), its (value, unit, working), and what the notes say with a remark on it."""
    (key, text), (value, unit, working), (notes_say, remark) = words, answer, notes
    return Question(key, text, value, unit, working, notes_say, remark, notes_right)


def _dense() -> list[Question]:
    small, large = dense_cost(500 * 500 * 3, 1000), dense_cost(36_000_000, 100)
    return [
        _ask(
            ("dense-500", "A 500×500 RGB image into 1,000 fully connected units: how many weights?"),
            (small.weights, "weights", "500 · 500 · 3 · 1,000"),
            (750e6, "With 1,000 biases: 750,001,000."),
        ),
        _ask(
            ("dense-500-memory", "The memory of 750 million weights as float32?"),
            (FLOAT * small.weights / 2**30, "GiB", "750,000,000 · 4 bytes"),
            (2.79, "2.79 is GiB (2³⁰ bytes); in GB (10⁹) it is 3.00."),
        ),
        _ask(
            ("dense-12mp", "A photograph of 12 megapixels, RGB, into 100 units?"),
            (large.weights, "weights", "36,000,000 · 100"),
            (3.6e9, "13.4 GiB as float32."),
        ),
    ]


def _kernels() -> list[Question]:
    one, hundred, first = conv_cost(3, 1, 3), conv_cost(3, 100, 3), conv_cost(3, 96, 11, 227, 227, 4, 0)
    ten, point = conv_cost(3, 10, 5, 32, 32), conv_cost(64, 32, 1, 56, 56)
    six = conv_cost(3, 6, 5)
    return [
        _ask(
            ("kernel", "One 3×3 kernel on an RGB image?"),
            (one.parameters, "parameters", "3 · 3 · 3 + 1"),
            (28, ""),
        ),
        _ask(
            ("kernels-100", "A hundred 3×3 kernels on RGB?"),
            (hundred.parameters, "parameters", "100 · (3 · 3 · 3 + 1)"),
            (2800, ""),
        ),
        _ask(
            ("alexnet-conv1", "AlexNet's first layer: 96 kernels of 11×11 on RGB?"),
            (first.parameters, "parameters", "11 · 11 · 3 · 96 + 96"),
            (34944, "34,848 without biases."),
        ),
        _ask(
            ("ten-5x5", "Ten 5×5 filters on 32×32×3, stride 1, padding 2?"),
            (ten.parameters, "parameters", "(5 · 5 · 3 + 1) · 10"),
            (760, f"{ten.macs:,} multiply-adds; the map stays 32×32, ten deep."),
        ),
        _ask(
            ("six-5x5", "Six 5×5×3 filters?"),
            (six.weights, "weights", "6 · 5 · 5 · 3"),
            (450, "456 with biases."),
        ),
        _ask(
            ("one-by-one", "32 filters of 1×1 on 64 channels?"),
            (point.weights, "weights", "32 · 64"),
            (2048, "2,080 with biases; on 56×56 each output is a scalar product of 64 numbers."),
        ),
    ]


def _stacks() -> list[Question]:
    def stack(kernel: int, layers: int, channels: int = 1) -> int:
        return layers * conv_cost(channels, channels, kernel, bias=False).weights

    return [
        _ask(
            ("one-5x5", "One 5×5 layer from c to c channels: how many c²?"),
            (stack(5, 1), "c²", "5 · 5"),
            (25, ""),
        ),
        _ask(
            ("two-3x3", "Two 3×3 layers, the same field of 5×5?"),
            (stack(3, 2), "c²", "2 · 3 · 3"),
            (18, ""),
        ),
        _ask(
            ("one-7x7", "One 7×7 layer on 256 channels?"),
            (stack(7, 1, 256), "weights", "49 · 256²"),
            (3_211_264, ""),
        ),
        _ask(
            ("three-3x3", "Three 3×3 layers, the same field of 7×7?"),
            (stack(3, 3, 256), "weights", "27 · 256²"),
            (1_769_472, ""),
        ),
        _ask(
            ("wide-3x3", "A 3×3 layer from 256 to 256 channels?"),
            (stack(3, 1, 256), "weights", "9 · 256²"),
            (589_824, ""),
        ),
        _ask(
            ("bottleneck", "1×1 to 64, 3×3 on 64, 1×1 back to 256?"),
            (2 * conv_cost(256, 64, 1, bias=False).weights + stack(3, 1, 64), "weights", "16,384 + 36,864 + 16,384"),
            (69_632, "8.5 times fewer; two 3×3 layers on 64 channels have 73,728."),
        ),
    ]


def _modules() -> list[Question]:
    naive, reduced = inception_cost(), inception_cost(reduce=REDUCE)
    return [
        _ask(
            ("naive-inception", "The naive Inception module on 28×28×256: multiplications?"),
            (naive.macs, "multiplications", _sum(naive.branches)),
            (854e6, f"Its output is 28×28×{naive.depth}."),
        ),
        _ask(
            ("reduced-inception", "The Inception module with 1×1 reductions to 64?"),
            (reduced.macs, "multiplications", _sum(reduced.branches)),
            (358e6, f"358 M counts the 3×3 convolution twice. The output is 28×28×{reduced.depth}."),
            notes_right=False,
        ),
        _ask(
            ("inception-pool", "Channels that the pooling branch of the naive module hands on, at least?"),
            (naive.branches[-1][1].output[0], "channels", "a pooling keeps all of them"),
            (256, ""),
        ),
    ]


def _sizes() -> list[Question]:
    def size(*numbers: int) -> int:
        return output_size(*numbers).size

    return [
        _ask(
            ("size-32-5", "32×32 with a 5×5 kernel: how wide is the map?"),
            (size(32, 5), "units", "32 − 5 + 1"),
            (28, "The notes write 28 = 32 − 5; the + 1 is missing there."),
            notes_right=False,
        ),
        _ask(
            ("size-7-3", "7×7 with 3×3 at stride 1?"),
            (size(7, 3), "units", "(7 − 3) / 1 + 1"),
            (5, ""),
        ),
        _ask(
            ("size-7-3-2", "7×7 with 3×3 at stride 2?"),
            (size(7, 3, 2), "units", "(7 − 3) / 2 + 1"),
            (3, ""),
        ),
        _ask(
            ("size-7-3-3", "7×7 with 3×3 at stride 3?"),
            (size(7, 3, 3), "units", "⌊(7 − 3) / 3⌋ + 1"),
            (None, "(7 − 3) / 3 + 1 = 2.33: not whole, the last column is never read."),
        ),
        _ask(
            ("size-padded", "7×7 with 3×3 and padding 1?"),
            (size(7, 3, 1, 1), "units", "7 + 2 − 3 + 1"),
            (7, "The notes say padding does not affect the size: it adds 2 p, here what the kernel takes away."),
            notes_right=False,
        ),
        _ask(
            ("size-alexnet", "AlexNet's first map, 227 with 11×11 at stride 4?"),
            (size(227, 11, 4), "units", "(227 − 11) / 4 + 1"),
            (55, ""),
        ),
        _ask(
            ("size-alexnet-pool", "55×55 after 3×3 pooling at stride 2?"),
            (size(55, 3, 2), "units", "(55 − 3) / 2 + 1"),
            (27, "Pooling has no parameters."),
        ),
    ]


def _memory() -> list[Question]:
    lenet = 150 + 2_400 + 48_000 + 10_080 + 840
    return [
        _ask(
            ("alexnet-memory", "AlexNet's 60,965,224 parameters as float32?"),
            (FLOAT * 60_965_224 / 2**20, "MiB", "60,965,224 · 4 bytes"),
            (230, "The notes say 230 Megabytes: 232.6 MiB, or 243.9 MB."),
        ),
        _ask(
            ("nin-memory", "NIN's 7,595,176 parameters?"),
            (FLOAT * 7_595_176 / 2**20, "MiB", "7,595,176 · 4 bytes"),
            (29, "In MB it is 30.4; 7.6 million parameters, not 7.5."),
        ),
        _ask(
            ("vgg16-activations", "VGG-16, one image: values in the listed maps as float32?"),
            (FLOAT * 15_237_608 / 1e6, "MB", "15,237,608 · 4 bytes"),
            (96, "The listed maps are 15.2 million values, not 24: 61.0 MB, where the notes have 96 and 93."),
            notes_right=False,
        ),
        _ask(
            ("alexnet-lenet", "How many times as many weights has AlexNet as LeNet?"),
            (46_737_440 / lenet, "times", f"46,737,440 / {lenet:,}"),
            (11, "The columns of the notes give 760, not 11: 46 M against 0.06 M."),
            notes_right=False,
        ),
    ]


def _connections() -> list[Question]:
    row, joined, units = build_toeplitz(np.ones(3), 5, padding=1), 5 * 6 // 2, _alexnet_units()
    layers = sum(units[1:])
    return [
        _ask(
            ("toeplitz-row", "A kernel of 3 on a row of 5, padding 1: weights that are not forced to 0?"),
            (row.local, "weights", "3 · 5 − 2"),
            (
                None,
                f"A dense layer has {row.dense}, O(m·n) against O(k·n); shared, {row.shared} different ones are left.",
            ),
        ),
        _ask(
            ("dense-block", "A dense block of 5 layers: how many connections?"),
            (joined, "connections", "5 · (5 + 1) / 2"),
            (None, "Every layer reads all earlier ones and the input: L (L + 1) / 2, for L = 12 it is 78."),
        ),
        _ask(
            ("alexnet-units", "AlexNet's neurons as the notes count them, the input included?"),
            (sum(units), "neurons", " + ".join(f"{n:,}" for n in units)),
            (813_859, f"Without the 227×227×3 input it is {layers:,}; the paper's 650,000 belong to 224 pixels."),
        ),
        _ask(
            ("googlenet-conv1", "GoogLeNet's first layer: 64 kernels of 7×7 on RGB, without biases?"),
            (conv_cost(3, 64, 7, bias=False).weights, "weights", "7 · 7 · 3 · 64"),
            (2_700, "The table has 2.7K and 34M operations; at 112×112 it is 118,013,952 multiply-adds."),
            notes_right=False,
        ),
    ]


def _alexnet_units() -> list[int]:
    """Values of AlexNet's input and of each layer with weights."""
    shapes = ((227, 3), (55, 96), (27, 256), (13, 384), (13, 384), (13, 256))
    return [side * side * channels for side, channels in shapes] + [4096, 4096, 1000]


def _training() -> list[Question]:
    units, last = 54, 0.5
    return [
        _ask(
            ("cross-entropy", "Cross-entropy if the right class has probability 0.8?"),
            (-math.log(0.8), "nats", "−ln 0.8"),
            (None, "Only the probability of the right class counts; at 0.5 it is 0.693, at 1 it is 0."),
        ),
        _ask(
            ("dropout-masks", "Dropout on 4,096 units: how many masks, as a power of ten?"),
            (math.floor(4096 * math.log10(2)), "decimal places", "⌊4,096 · log₁₀ 2⌋"),
            (None, "2⁴⁰⁹⁶ ≈ 10¹²³³ masks; the observable universe has about 10⁸⁰ atoms."),
        ),
        _ask(
            ("stochastic-depth", "ResNet-110 with stochastic depth, p_L = 0.5: blocks in a training step, on average?"),
            (units - (1 - last) * (units + 1) / 2, "of 54 blocks", "(3 · 54 − 1) / 4"),
            (None, "Block l survives with 1 − l / L · (1 − p_L): the first with 0.99, the last with 0.5."),
        ),
    ]


def _sum(branches: tuple[tuple[str, Cost], ...]) -> str:
    return " + ".join(f"{cost.macs:,}" for _, cost in branches if cost.macs)
