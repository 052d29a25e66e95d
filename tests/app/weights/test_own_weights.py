"""Weights of one's own: recognised, asked about, taken into use, listed, removed; refused in words."""

import json
import re
from pathlib import Path

import pytest
import torch
from app_pages import cards, choose, chosen, errors, pictures, turned
from own_weights import dropped, lenet, saved, take
from streamlit.testing.v1 import AppTest
from torch import nn

from app import access
from app.session import tabs, uploads
from app.views.patches import building
from app.weights import owners
from cnnviz.models.bundled import bundled
from cnnviz.models.catalogue import registry


@pytest.fixture(autouse=True)
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about indexes, which would be built beside every page."""
    monkeypatch.setattr(building, "wants_start", lambda *_: False)


def answer(at: AppTest, field: str):
    """The widget of the form's question."""
    return next(w for w in (*at.selectbox, *at.text_area, *at.text_input, *at.number_input) if w.key == f"own_{field}")


def words(at: AppTest) -> str:
    """All text of the page, but for the memory in use, which other tests change."""
    shown = (*at.markdown, *at.caption, *at.subheader, *at.warning, *at.text)
    return re.sub(r"Memory in use: [\d.]+", "", " ".join(str(e.value) for e in shown))


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "weights").iterdir())


def test_a_dropped_file_is_asked_about_before_anything_changes(opened):
    at = dropped(opened("home"), saved(lenet()))
    assert errors(at) == []
    assert chosen(at, "net") == "resnet20_cifar" and at.query_params == {}
    assert answer(at, "net").value == "lenet5"
    assert answer(at, "names").value.split("\n") == [str(n) for n in range(10)]
    assert (answer(at, "height").value, answer(at, "width").value) == (28, 28)
    assert "10 of 10 tensors matched" in words(at)


def test_answers_are_kept_and_every_page_uses_them(opened, cache):
    at = dropped(opened("home"), saved(lenet(3)), "animals.pth")
    answer(at, "names").set_value("cat, dog, fish")
    answer(at, "mean").set_value("0.25")
    answer(at, "std").set_value("0.5")
    answer(at, "resize").set_value(40)
    take(at)
    assert errors(at) == []
    name = at.selectbox(key="weights").value
    assert at.query_params == {"net": "lenet5", "weights": name}
    assert "animals.pth" in at.selectbox(key="weights").options
    side = json.loads((cache / "weights" / f"{name.removeprefix('file-')}.json").read_text())
    assert side["classes"] == ["cat", "dog", "fish"] and side["preprocessing"]["mean"] == [0.25]
    assert side["preprocessing"]["size"] == [28, 28] and side["preprocessing"]["resize"] == 40
    assert (side["file_name"], side["architecture"], side["size"]) == ("animals.pth", "lenet5", len(saved(lenet(3))))
    told = " ".join(c.value for c in at.caption)
    assert "3 classes" in told and "mean 0.250 and std 0.500" in told
    for page in ("first_layer_filters", "feature_maps", "top9"):
        assert errors(turned(at, page)) == []
        assert at.selectbox(key="weights").value == name


def test_a_network_with_another_head_is_one_like_any_other_and_a_link_brings_it_back(opened):
    name = "variant:resnet20_cifar.32"
    at = dropped(opened("home"), saved(registry.build(name, 3).state_dict()), "fine_tuned.pth")
    assert answer(at, "net").value == name and "ReLU" in words(at) and "assumed" in words(at)
    take(at)
    assert errors(at) == [] and at.query_params["net"] == name
    again = opened("feature_maps", net=name, weights=at.selectbox(key="weights").value)
    assert errors(again) == [] and pictures(again) and chosen(again, "net") == name


def test_the_weights_of_the_file_are_what_is_shown(opened):
    state = lenet(seed=7)
    take(dropped(at := opened("home"), saved(state)))
    turned(at, "first_layer_filters")
    (told,) = [c.value for c in at.caption if "1 input channel;" in c.value]
    weights = state["conv1.weight"][at.number_input(key="unit").value]
    assert f"{weights.min():.3f}" in told and f"{weights.max():.3f}" in told


def test_metadata_fill_the_form(opened):
    expects = {"size": [28, 28], "resize": 30, "mean": [0.2], "std": [0.4]}
    data = saved(lenet(2), architecture="lenet5", classes=["odd", "even"], preprocessing=expects)
    at = dropped(opened("home"), data)
    assert answer(at, "names").value == "odd\neven" and answer(at, "names_preset").value == "From the file"
    assert [answer(at, f).value for f in ("height", "width", "resize")] == [28, 28, 30]
    assert (answer(at, "mean").value, answer(at, "std").value) == ("0.2", "0.4")
    assert answer(at, "norm_preset").value == "From the file"


def test_presets_fill_the_fields(opened):
    at = dropped(opened("home"), saved(registry.build("resnet20_cifar").state_dict()))
    answer(at, "norm_preset").select("0.5 / 0.5").run()
    assert (answer(at, "mean").value, answer(at, "std").value) == ("0.5, 0.5, 0.5", "0.5, 0.5, 0.5")
    assert "MNIST" not in answer(at, "norm_preset").options  # one channel
    answer(at, "names_preset").select("class 0, class 1, …").run()
    assert answer(at, "names").value.split("\n") == [f"class {n}" for n in range(10)]


def test_networks_with_the_same_tensors_are_a_choice(opened):
    at = dropped(opened("home"), saved(registry.build("plain20_cifar").state_dict()))
    assert {"resnet20_cifar", "plain20_cifar"} <= set(answer(at, "net").options)
    assert answer(at, "net").value == "resnet20_cifar" and "exactly these tensors" in words(at)
    answer(at, "net").select("plain20_cifar").run()
    take(at)
    assert errors(at) == []
    assert chosen(at, "net") == "plain20_cifar"
    assert at.selectbox(key="weights").value.startswith("file-")


@pytest.mark.parametrize(
    "field, wrong, told",
    [
        ("names", "cat, dog", "2 names"),
        ("names", "", "0 names"),
        ("mean", "0.1, 0.2", "one a channel"),
        ("mean", "grey", "'grey'"),
        ("mean", "nan", "'nan'"),
        ("std", "0", "above 0"),
        ("height", 1, "1×28"),
    ],
)
def test_a_wrong_answer_is_told_and_nothing_typed_is_lost(opened, cache, field, wrong, told):
    at = dropped(opened("home"), saved(lenet(3)))
    answer(at, "names").set_value("cat\ndog\nfish")
    answer(at, "mean").set_value("0.125")
    answer(at, field).set_value(wrong)
    take(at)
    (message,) = errors(at)
    assert told in message and "Traceback" not in message
    assert answer(at, field).value == wrong
    if field != "names":
        assert answer(at, "names").value == "cat\ndog\nfish"
    if field != "mean":
        assert answer(at, "mean").value == "0.125"
    assert chosen(at, "net") == "resnet20_cifar" and pictures(at)
    assert not [name for name in files(cache) if name.endswith(".json")]
    right = {"names": "cat\ndog\nfish", "mean": "0.5", "std": "0.5", "height": 28}[field]
    answer(at, field).set_value(right)
    take(at)
    assert errors(at) == [] and chosen(at, "net") == "lenet5"


def test_a_discarded_file_leaves_nothing(opened, cache):
    at = dropped(opened("home"), saved(lenet()))
    at.button(key="own_discard").click().run()
    assert errors(at) == [] and files(cache) == []
    assert chosen(at, "net") == "resnet20_cifar"
    assert not [w for w in at.text_area if w.key == "own_names"]


def wrong_shape() -> dict:
    state = lenet()
    state["conv2.weight"] = torch.zeros(16, 5, 3, 3)
    return state


@pytest.mark.parametrize(
    "data",
    [
        lambda: b"",
        lambda: b"just a letter",
        lambda: b"<!doctype html><title>404</title>",
        lambda: saved(lenet())[:3000],
        lambda: saved({"a": torch.zeros(3)}),
        lambda: saved(wrong_shape()),
        lambda: b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n",
    ],
    ids=["empty", "text", "html", "truncated", "no network", "wrong shape", "pickle"],
)
def test_a_refused_file_is_told_with_its_own_name_and_not_kept(opened, cache, data):
    at = dropped(opened("home", net="lenet5"), data(), "upload.pth")
    (message,) = errors(at)
    assert "upload.pth" in message and "The network is unchanged" in message and "Traceback" not in message
    assert files(cache) == [] if (cache / "weights").exists() else True
    assert chosen(at, "net") == "lenet5" and pictures(at)
    at.button(key="own_close").click().run()
    assert errors(at) == []
    dropped(at, saved(lenet(seed=1)))
    take(at)
    assert errors(at) == [] and at.selectbox(key="weights").value.startswith("file-")


def test_nan_weights_are_warned_of_and_can_be_used(opened):
    state = lenet()
    state["conv1.weight"][0, 0, 0, 0] = float("nan")
    at = dropped(opened("home"), saved(state))
    assert any("NaN" in w.value for w in at.warning)
    take(at)
    assert errors(at) == [] and at.selectbox(key="weights").value.startswith("file-")


def test_a_link_with_the_hash_alone_opens_the_file_s_network(opened):
    take(dropped(at := opened("home"), saved(lenet())))
    name = at.selectbox(key="weights").value
    linked = opened("feature_maps", weights=name)
    assert errors(linked) == []
    assert (chosen(linked, "net"), linked.selectbox(key="weights").value) == ("lenet5", name)
    choose(linked, "net", "resnet20_cifar")  # the default of a view without the link
    assert errors(linked) == [] and chosen(linked, "net") == "resnet20_cifar"
    assert linked.selectbox(key="weights").value == "bundled" and linked.query_params == {}


def test_own_weights_are_offered_to_their_network_only_and_after_a_restart(opened):
    take(dropped(at := opened("home"), saved(lenet()), "digits.pth"))
    name = at.selectbox(key="weights").value
    again = opened("home")  # another session, as after a restart: only the store is left
    assert "digits.pth" in words(again).replace("\\", "")
    assert "digits.pth" not in again.selectbox(key="weights").options
    choose(again, "net", "lenet5")
    assert "digits.pth" in again.selectbox(key="weights").options
    again.button(key=f"use_{name}").click().run()
    assert errors(again) == [] and again.selectbox(key="weights").value == name


def test_one_click_removes_a_file_and_the_view_goes_back(opened, cache):
    take(dropped(at := opened("home"), saved(lenet())))
    name = at.selectbox(key="weights").value
    at = opened("home", weights=name)
    at.button(key=f"remove_{name}").click().run()
    assert errors(at) == [] and files(cache) == []
    assert chosen(at, "net") == "lenet5" and at.selectbox(key="weights").value == "bundled"
    assert "weights" not in at.query_params
    gone = opened("home", net="lenet5", weights=name)
    assert "Upload the file again" in errors(gone)[0]
    dropped(gone, saved(lenet()))  # and even there a file can be dropped
    take(gone)
    assert errors(gone) == [] and gone.selectbox(key="weights").value == name


def test_other_answers_about_the_same_file_are_shown_at_once(opened):
    data = saved(lenet(2))
    at = dropped(opened("home"), data)
    answer(at, "names").set_value("odd, even")
    take(at)
    dropped(at, data, "again.pth")
    assert answer(at, "names").value == "odd\neven"  # what was said before
    answer(at, "mean").set_value("0.75")
    take(at)
    assert errors(at) == [] and any("mean 0.750" in c.value for c in at.caption)


def test_on_a_public_server_a_session_sees_only_its_own(opened, monkeypatch):
    monkeypatch.setattr(access, "is_on_this_computer", lambda: False)
    take(dropped(at := opened("home"), saved(lenet()), "secret.pth"))
    name = at.selectbox(key="weights").value
    assert "secret.pth" in words(at).replace("\\", "")
    stranger = opened("home", net="lenet5")
    assert "secret" not in words(stranger) and "secret.pth" not in stranger.selectbox(key="weights").options
    linked = opened("home", net="lenet5", weights=name)
    assert errors(linked) == [] and linked.selectbox(key="weights").value == name
    assert f"remove_{name}" not in {b.key for b in linked.button}


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "is_on_this_computer", lambda: False)
    monkeypatch.setattr(access, "is_shared", lambda: True)


def close(at: AppTest) -> None:
    """The tab is closed, and does not come back. In the harness all are of one session, so that the others are told to
    be open."""
    visitor = at.session_state["class_visitor"]
    tabs._tabs().here[visitor].session = "closed"
    for now in (0.0, tabs.GRACE):
        tabs.sweep(lambda session: session != "closed", now)


def test_nobody_s_removal_takes_away_what_another_has_brought(opened, cache, public):
    mine, other = opened("home"), opened("home")
    data = saved(lenet())
    take(dropped(mine, data))
    dropped(other, data)
    asked = dropped(opened("home"), data)
    name = mine.selectbox(key="weights").value
    take(other)
    assert other.selectbox(key="weights").value == name and len(files(cache)) == 2  # stored once
    other.button(key=f"remove_{name}").click().run()
    assert name not in {b.key for b in other.button} and errors(mine.run()) == []
    mine.button(key=f"remove_{name}").click().run()
    take(asked)  # somebody who was still asked about it
    assert errors(asked) == [] and asked.selectbox(key="weights").value == name
    asked.button(key=f"remove_{name}").click().run()
    assert files(cache) == []


def test_a_removed_file_goes_with_the_last_tab_that_still_had_it(opened, cache, public):
    before, after = opened("home"), opened("home")
    for at in (before, after):  # a tab, and the same one reloaded
        take(dropped(at, saved(lenet())))
    after.button(key=f"remove_{after.selectbox(key='weights').value}").click().run()
    assert len(files(cache)) == 2
    close(before)
    assert files(cache) == []


def test_a_discarded_file_is_not_taken_from_somebody_who_is_asked_about_it(opened, cache, public):
    one, other = (dropped(opened("home"), saved(lenet())) for _ in range(2))
    one.button(key="own_discard").click().run()
    take(other)
    assert errors(other) == [] and other.selectbox(key="weights").value.startswith("file-")


def test_other_answers_about_the_file_of_another_leave_that_one_s_as_they_are(opened, cache, public):
    data = saved(lenet(2))
    mine, other = opened("home"), opened("home")
    take(dropped(mine, data))
    name, before = mine.selectbox(key="weights").value, words(mine)
    dropped(other, data)
    answer(other, "names").set_value("odd, even")
    answer(other, "mean").set_value("0.75")
    take(other)
    assert errors(other) == [] and other.selectbox(key="weights").value != name
    assert any("mean 0.750" in c.value for c in other.caption)
    assert errors(mine.run()) == [] and words(mine) == before
    another = other.selectbox(key="weights").value
    other.button(key=f"remove_{another}").click().run()
    assert errors(mine.run()) == [] and words(mine) == before
    assert files(cache) == sorted([name.removeprefix("file-"), f"{name.removeprefix('file-')}.json"])


def test_answers_that_fail_are_never_on_the_disk(opened, cache, monkeypatch):
    at = dropped(opened("home"), saved(lenet(2)))
    written: list[object] = []
    monkeypatch.setattr(owners, "write_json", lambda *given: written.append(given))
    answer(at, "height").set_value(1)
    take(at)
    assert "1×28" in errors(at)[0] and written == []


def test_files_of_the_same_name_are_told_apart(opened):
    at = opened("home")
    for seed in (1, 2):
        take(dropped(at, saved(lenet(seed=seed)), "net.pth"))
    labels = [o for o in at.selectbox(key="weights").options if o.startswith("net.pth")]
    assert len(set(labels)) == 2


def test_names_with_markup_stay_plain_text(opened):
    at = dropped(opened("home", net="lenet5"), b"text", "![x](http://127.0.0.1/)<b>my_net.pth")
    (message,) = errors(at)
    assert "my_net.pth" in message and not set("[]<>") & set(message)


def test_files_nobody_answered_about_go_after_a_day(cache):
    import os

    old, answered = uploads.store_weights(b"old"), uploads.store_weights(b"answered")
    uploads.side_file(answered).write_text("{}")
    for name in (old, answered):
        os.utime(uploads.stored_weights(name), (0, 0))
    uploads.store_weights(b"new")
    assert old.removeprefix("file-") not in files(cache)
    assert uploads.stored_weights(answered).read_bytes() == b"answered"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"file_name": 1}', "no json"])
def test_a_damaged_side_file_counts_as_none(cache, text):
    name = uploads.store_weights(b"weights")
    uploads.side_file(name).write_text(text)
    assert owners.find(name) is None


def test_a_typed_network_that_nobody_knows_is_told_and_the_network_stays(opened):
    at = opened("home", net="lenet5")
    choose(at, "net", "resnet5O")
    (message,) = errors(at)
    assert "resnet5O" in message and "resnet50" in message and "unchanged" in message
    assert chosen(at, "net") == "lenet5" and at.query_params == {"net": "lenet5"}


def test_networks_of_other_zoos_are_taken_by_their_prefix(opened):
    pytest.importorskip("timm")
    at = opened("first_layer_filters", net="timm:mobilenetv3_small_050", weights="random")
    assert errors(at) == [] and chosen(at, "net") == "timm:mobilenetv3_small_050" and pictures(at)
    turned(at, "home")
    assert at.query_params["net"] == "timm:mobilenetv3_small_050"
    choose(at, "net", "timm:resnet18000")
    (message,) = errors(at)
    assert "resnet18000" in message and "unchanged" in message
    assert chosen(at, "net") == "timm:mobilenetv3_small_050"


def test_the_picker_lists_bundled_networks_first_and_no_blocks(opened, registered):
    class Block(nn.Sequential):
        """(N, 3, 16, 16) → (N, 4, 16, 16); no classifier."""

    registered("tail_10", Block)
    registered("tail_9", Block)
    shown = cards(opened("home", weights="file-gone"), "net")
    names, own = list(shown), len(bundled())
    assert set(names[:own]) == set(bundled()) >= {"lenet5", "resnet20_cifar", "plain20_cifar"}
    assert names.index("tail_9") < names.index("tail_10")
    assert all(registry.find(name).classifier for name in names)
    for group in {card["group"] for card in shown.values()} - {shown["lenet5"]["group"]}:
        families = [registry.find(name).family for name in names if shown[name]["group"] == group]
        assert len(set(families)) == sum(a != b for a, b in zip([None, *families], families, strict=False))
