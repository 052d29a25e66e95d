"""Sentences and figures of the lecture notes that do not hold, each with what does, and why or by what source.

The counting questions have theirs beside the answer: `lecture_questions`."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LectureError:
    """`topic`: what it is about. `notes_say`: in short. `correct`: what holds. `reason`: why, or the source."""

    topic: str
    notes_say: str
    correct: str
    reason: str


# topic | the notes | what holds | why, or the source; lines that are indented go on with the one above
_ERRORS = """
Convolution | the kernel with sums from −h to h is h×h | it is (2h + 1)×(2h + 1) | −h … h are 2h + 1 numbers
Convolution | sharing a kernel gives translation invariance | it gives equivariance: the map shifts along |
    invariance comes from pooling, in full from global pooling; f(g(x)) = g(f(x)) is exact only at stride 1 and away
    from the border
Convolution | padding does not affect the output size | it adds 2p; here that cancels the kernel's k − 1 = 2 | n_out
    = ⌊(n + 2p − k) / s⌋ + 1
Normalisation | batch norm of a dense layer normalises across D, layer norm across N | the other way round: batch
    norm has D means over the N examples, layer norm N means over the D features | Ioffe and Szegedy, ICML 2015; Ba,
    Kiros and Hinton 2016
Dropout | at test time multiply by the dropout probability | by the probability 1 − p of keeping a unit | the same
    only at p = 0.5; PyTorch divides by 1 − p in training instead
Dropout | it sets weights to zero | it sets activations to zero | weights are dropped by DropConnect (Wan et al.,
    ICML 2013)
Dropout | it works on fully connected layers only | it is used on maps as well | NIN, All-CNN and wide ResNets
Training | J = E[log p] | J = −E[log p] | the minus sign is missing: the likelihood is maximised, the loss minimised
Training | δ_j = (1 − z_j)² w δ | δ_j = (1 − z_j²) w δ | the derivative of tanh is 1 − tanh²
Training | ∂L/∂w_j = (y − ŷ) z_j | ∂L/∂w_j = (ŷ − y) z_j | δ = ŷ − y for softmax or sigmoid with cross-entropy
Training | η is the weight decay | η is the learning rate | weight decay is the factor of the L2 penalty
Training | with ReLU there is no vanishing gradient any more | it is reduced, not gone | dead units, and depth: He
    et al., CVPR 2016
ReLU | AlexNet was the first to use it | it made it popular | Nair and Hinton, ICML 2010; Glorot, Bordes and Bengio,
    AISTATS 2011
VGG | “stack of three 7×7”, 27x² | three 3×3 layers have the field of one 7×7, and 27C² weights against 49C² | 3 ·
    3² = 27, 7² = 49
VGG | there is no linear function between the layers of a stack | a ReLU follows every convolution; what is missing
    in between is pooling | without the ReLUs three 3×3 layers would be one linear 7×7 layer
ResNet | “3×3 conv, 512, /2”: the feature maps divided by 2 | stride 2: height and width are halved, and there are
    twice as many maps | He et al., CVPR 2016, Table 1
ResNet | the bottleneck is small, large, small | large, small, large: 256 → 64 → 64 → 256 | He et al., CVPR 2016,
    Figure 5
ResNet | every residual block has two 3×3 layers | in ResNet-18 and 34; from 50 on it is 1×1, 3×3, 1×1 | He et al.,
    CVPR 2016, Table 1
ResNet | the 20-layer network is a subset of the 56-layer one | its solutions are among those of the deeper one, by
    construction: the added layers could be identities | He et al., CVPR 2016, section 1
ResNet | the depths are 34, 50, 101 and 152 | 18 as well | He et al., CVPR 2016, Table 1
ResNet | dL/dx = dL/dy · (1 + F′(x)) | right for y = F(x) + x; a ReLU after the addition multiplies it by its mask |
    chain rule
GoogLeNet, ResNet | no fully connected layers | one each, the classifier: 1,025,000 and 2,049,000 parameters | 1024
    · 1000 + 1000, 2048 · 1000 + 1000
DenseNet | the feature volume within a block stays constant | height and width do; every layer adds k channels |
    Huang et al., CVPR 2017
DenseNet | a transition halves the volume and the maps | channels ÷ 2, height ÷ 2, width ÷ 2: the volume ÷ 8 | Huang
    et al., CVPR 2017, compression 0.5
Inception | v2 and v3 are one paper | BN-Inception (224 pixels) and “Rethinking” (299 pixels) are two | Ioffe and
    Szegedy, ICML 2015; Szegedy et al., CVPR 2016
LeNet | LeNet-5 is of 1995 | of 1998 | LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 1998
AlexNet | two GPUs with 2 GB | two GTX 580 with 3 GB | Krizhevsky, Sutskever and Hinton, NIPS 2012, section 3.2:
    five to six days
AlexNet | 17 % beside 16.7, 13.7 and 13.1 % of CNN-F, M and S | 17.0 is ILSVRC-2010; on 2012, as those are, one
    AlexNet has 18.2 % | Krizhevsky, Sutskever and Hinton, NIPS 2012, Tables 1 and 2
AlexNet, NIN | 40.7 against 39.2 % top-1 | NIN's centre crop has 40.64 %; 39.2 needs several views | Caffe model
    zoo, NIN
ImageNet | AlexNet has 16.4 % in one table and 15.3 % on another slide | both hold: five networks 16.4 %, seven 15.3 %
    (test, two of them trained on the 2011 release as well); one network has 18.2 % (validation) | Krizhevsky,
    Sutskever and Hinton, NIPS 2012, Table 2
GoogLeNet | conv1 has 2.7K parameters and 34M operations | 9,408 weights and 118,013,952 multiply-adds | 7 · 7 · 3 ·
    64, times 112 · 112; the rows 4a, 4c, 4d, 4e, 5a and 5b are off as well
MNIST | 50,000 training images | 60,000; 50,000 with 10,000 kept for validation | LeCun et al. 1998
Flowers | 100 classes | 102 classes, 10 training images each | Nilsback and Zisserman, ICVGIP 2008
"""


def list_errors() -> tuple[LectureError, ...]:
    """All of them, by topic in the order of the lecture."""
    entries = re.sub(r"\n +", " ", _ERRORS.strip()).splitlines()
    return tuple(LectureError(*(cell.strip() for cell in entry.split("|"))) for entry in entries)
