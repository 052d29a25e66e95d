"""CNN-F, CNN-M and CNN-S (fast, medium, slow), and CNN-M with a narrower last hidden layer.

Source: Chatfield, Simonyan, Vedaldi, Zisserman, BMVC 2014, table 1. All pools round up, as in Caffe."""

from functools import partial

from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import FeatureClassifier, conv_relu, fully_connected, paper_lrn


def _pool(kernel: int, stride: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel, stride, ceil_mode=True)


def _last_three(inputs: int, outputs: int) -> list[nn.Module]:
    """conv3, conv4 and conv5, which keep the size of the map."""
    return [
        *conv_relu(inputs, outputs, 3, padding=1),
        *conv_relu(outputs, outputs, 3, padding=1),
        *conv_relu(outputs, outputs, 3, padding=1),
    ]


class CnnF(FeatureClassifier):
    """Fast: stride 4 in conv1, few maps. (N, 3, 224, 224) → (N, num_classes) logits."""

    def __init__(self, num_classes: int = 1000) -> None:
        features = nn.Sequential(
            *conv_relu(3, 64, 11, stride=4),
            paper_lrn(),
            _pool(3, 2),
            *conv_relu(64, 256, 5, padding=2),
            paper_lrn(),
            _pool(3, 2),
            *_last_three(256, 256),
            _pool(3, 2),
        )
        super().__init__(features, fully_connected(256 * 6 * 6, num_classes))


class CnnM(FeatureClassifier):
    """Medium: stride 2 in conv1 and conv2. (N, 3, 224, 224) → (N, num_classes) logits.

    `full7`: width of the last hidden layer, the image's descriptor: 4096, 2048, 1024 or 128."""

    def __init__(self, num_classes: int = 1000, full7: int = 4096) -> None:
        features = nn.Sequential(
            *conv_relu(3, 96, 7, stride=2),
            paper_lrn(),
            _pool(3, 2),
            *conv_relu(96, 256, 5, stride=2, padding=1),
            paper_lrn(),
            _pool(3, 2),
            *_last_three(256, 512),
            _pool(3, 2),
        )
        super().__init__(features, fully_connected(512 * 6 * 6, num_classes, (4096, full7)))


class CnnS(FeatureClassifier):
    """Slow: stride 1 in conv2, wide pools. (N, 3, 224, 224) → (N, num_classes) logits.

    `paper_padding`: conv2 padded by 1 as table 1 prints; the released network has no padding there. The
    parameters are the same."""

    def __init__(self, num_classes: int = 1000, *, paper_padding: bool = False) -> None:
        features = nn.Sequential(
            *conv_relu(3, 96, 7, stride=2),
            paper_lrn(),
            _pool(3, 3),
            *conv_relu(96, 256, 5, padding=1 if paper_padding else 0),
            _pool(2, 2),
            *_last_three(256, 512),
            _pool(3, 3),
        )
        super().__init__(features, fully_connected(512 * 6 * 6, num_classes))


_RELEASED = "The released network: conv2 has no padding where table 1 prints 1 (option paper_padding=True)."
for _name, _title, _builder, _error, _note in (
    ("cnn_f", "CNN-F (fast)", CnnF, "16.7", ""),
    ("cnn_m", "CNN-M (medium)", partial(CnnM, full7=4096), "13.7", ""),
    ("cnn_s", "CNN-S (slow)", CnnS, "13.1", _RELEASED),
    ("cnn_m_2048", "CNN-M, 2048-wide descriptor", partial(CnnM, full7=2048), "13.5", ""),
    ("cnn_m_1024", "CNN-M, 1024-wide descriptor", partial(CnnM, full7=1024), "13.7", ""),
    ("cnn_m_128", "CNN-M, 128-wide descriptor", partial(CnnM, full7=128), "15.6", ""),
):
    add(
        Architecture(
            name=_name,
            title=_title,
            family="CNN-F/M/S",
            builder=_builder,
            preprocessing=Preprocessing((224, 224), resize=256),
            classes=1000,
            labels="imagenet",
            source="Chatfield et al., BMVC 2014",
            year=2014,
            published=f"{_error} % top-5 error, ILSVRC-2012 validation, one network",
            note=_note,
        )
    )
