"""Large networks: weighed before anything is allocated, opened by students only with permission."""

import pytest
import streamlit as st
from app_pages import chosen, entered, errors, pictures

import cnnviz
from app.classroom import room
from app.session import networks, uploads
from app.session.networks import Choice
from cnnviz.models import load as loading
from cnnviz.models.catalogue.parameter_counts import weigh

CHAIN = "chain:3x8x8-flatten-linear{}-relu-linear{}"  # with 192 inputs


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> room.Classroom:
    """The room of an app that `cnnviz class` has started; nothing large may be built in it."""
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "a-token-of-this-test")

    def refuse(name: str | None, *given: object, **more: object) -> cnnviz.models.model.LoadedModel:
        assert name is None or weigh(name) < 2**28, f"{name} is loaded"
        return real(name, *given, **more)

    real = loading.load
    monkeypatch.setattr(loading, "load", refuse)
    return room.get_room()


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", CHAIN.format(64, 10), "variant:resnet20_cifar.32"])
def test_a_network_weighs_what_its_tensors_do(name):
    module = cnnviz.build(name)
    every = [*module.parameters(), *module.buffers()]
    assert weigh(name) == sum(len(t.detach().cpu().contiguous().numpy().tobytes()) for t in every)
    assert networks.weigh(name) == pytest.approx(weigh(name), rel=0.02)  # the summary knows parameters alone


def test_of_a_file_with_more_in_it_the_file_counts(cache):
    name = uploads.store_weights(bytes(10**6))
    assert networks.weigh("lenet5", name) == 10**6 > networks.weigh("lenet5")


@pytest.mark.parametrize("name", ["vgg16", CHAIN.format(30_000, 3_000)])
def test_a_student_s_link_to_a_large_network_shows_another_and_says_why(lesson, name):
    at = entered("first_layer_filters", net=name, weights="random")
    said = " ".join(one.value for one in at.info)
    assert errors(at) == [] and "by themselves" in said and "256 MB" in said
    assert pictures(at) and chosen(at, "net") == name


def test_what_the_lecturer_shows_or_allows_opens(lesson, monkeypatch):
    asked: list[Choice] = []
    lenet = networks.load(Choice("lenet5", "bundled", "cpu")).model
    monkeypatch.setattr(networks, "_load_trained", lambda choice: asked.append(choice) or lenet)
    monkeypatch.setattr(networks, "get_script_run_ctx", lambda **_: object())
    monkeypatch.setattr(st, "session_state", {})
    large = Choice("vgg16", "random", "cpu")
    with pytest.raises(networks.NotAllowed, match="vgg16 takes 528 MB"):
        networks.load(large)
    with pytest.raises(networks.NotAllowed):
        networks.load(Choice("vgg16", "random", "cpu", untrained=True))
    lesson.publish("filters", {"net": "vgg16"})
    assert networks.load(large).model is lenet
    lesson.publish("filters", {})
    assert networks.load(large).model is lenet and asked == [large]  # it is here
    other = Choice("vgg19", "random", "cpu")
    with pytest.raises(networks.NotAllowed):
        networks.load(other)
    lesson.allowed = True
    assert networks.load(other).model is lenet
    lesson.allowed = False
    monkeypatch.setattr(st, "session_state", {"class_lecturer": True})
    assert networks.load(Choice("vgg13", "random", "cpu")).model is lenet


def test_other_networks_have_gone_before_a_large_one_is_loaded(monkeypatch):
    monkeypatch.setattr("app.limits.weights_room", lambda device: weigh("resnet20_cifar"))
    first = networks.load(Choice("lenet5", "bundled", "cpu"))
    kept: list[list[object]] = []
    monkeypatch.setattr(networks, "_load_trained", lambda choice: kept.append(networks._cache().names()) or first.model)
    networks.load(Choice("resnet20_cifar", "random", "cpu"))
    assert kept == [[]]
