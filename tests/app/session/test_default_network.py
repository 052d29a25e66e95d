"""The network that pages open on: one of real photographs where its package is, else a bundled one."""

import pytest
from app_pages import chosen, errors

from app.session import networks
from cnnviz.models.zoo import packaged


def test_home_opens_on_the_packaged_network_and_says_what_it_sees(opened, monkeypatch):
    if not packaged.packaged():
        pytest.skip("the package of EfficientNet-Lite0 is not installed")
    monkeypatch.delenv("CNNVIZ_NETWORK", raising=False)
    at = opened("home")
    assert errors(at) == [] and "net" not in at.query_params
    assert chosen(at, "net") == "efficientnet_lite0"
    assert any("4.65 M parameters, 1,000 classes" in c.value for c in at.caption)


@pytest.mark.parametrize("name", ["", "no_such_network"])
def test_without_the_package_pages_open_on_a_bundled_network(opened, monkeypatch, name):
    monkeypatch.setenv("CNNVIZ_NETWORK", name)
    monkeypatch.setattr(networks, "_packaged", dict)
    at = opened("first_layer_filters")
    assert errors(at) == [] and chosen(at, "net") == "resnet20_cifar"


def test_a_lecturer_names_the_network_that_pages_open_on(opened, monkeypatch):
    monkeypatch.setenv("CNNVIZ_NETWORK", "lenet5")
    at = opened("first_layer_filters")
    assert errors(at) == [] and chosen(at, "net") == "lenet5" and "net" not in at.query_params
