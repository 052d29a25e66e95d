"""The builder: a chain that no catalogue has is opened, changed, measured and taken into use."""

import pytest
from app_pages import cards, chosen, errors, pictures, turned
from chain_files import LONG, NATURAL, TANH, THREE, named, residual, trained
from own_weights import FILE, dropped, lenet, saved, take
from streamlit.testing.v1 import AppTest

from app import access
from app.views.patches import building
from app.weights import owners


@pytest.fixture(autouse=True)
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "wants_start", lambda *_: False)


def pick(at: AppTest, field: str):
    """The picker of a setting of the builder."""
    return next(w for w in (*at.selectbox, *at.number_input) if w.key.startswith("own_build") and w.key.endswith(field))


def own(at: AppTest, field: str):
    return next(w for w in (*at.selectbox, *at.text_area, *at.text_input) if w.key == f"own_{field}")


def words(at: AppTest) -> str:
    labels = [w.label for w in (*at.selectbox, *at.number_input)]
    return " ".join([*(str(e.value) for e in (*at.markdown, *at.caption)), *labels])


def test_a_chain_opens_in_the_builder_with_its_natural_reading(opened):
    at = dropped(opened("home"), saved(named(THREE)))
    assert errors(at) == [] and own(at, "net").value == THREE
    assert own(at, "net").options[0] == "Chain 3×32×32: 4 of 3×3, max 2, 6 of 3×3, max 2; 3; ReLU"
    assert "2 convolutions, 1 linear layer, 3 input channels, 3 classes" in words(at)
    assert (pick(at, "_input0").value, pick(at, "_input1").value) == (32, 32)
    assert pick(at, "_pool0").value == "max2" and pick(at, "_pad0").value == (0, 0)
    assert "own_graph" in pictures(at)
    assert ":orange-badge[assumed]" in words(at)
    assert at.button(key="own_use").label == "Use this network"


def test_assumed_stands_beside_every_assumed_value(opened):
    at = dropped(opened("home"), saved(named(THREE)))
    marked = [w.label for w in (*at.selectbox, *at.number_input) if ":orange-badge[assumed]" in w.label]
    named_so = {label.split(" :")[0] for label in marked}
    assert named_so == {"Input height", "Input width", "All activations", "All poolings", "Ends in"}
    assert [m.value for m in at.markdown].count(":orange-badge[assumed]") == 2  # the network and its normalisation
    pick(at, "_active").select("tanh").run()
    (changed,) = [w.label for w in at.selectbox if w.label.startswith("All activations")]
    assert "your choice" in changed and ":orange-badge" not in changed


def test_a_size_that_does_not_fit_is_said_with_what_fits_and_can_be_undone(opened):
    at = dropped(opened("home"), saved(named(THREE)))
    pick(at, "_pad0").select((1, 1)).run()
    (said,) = errors(at)
    assert "fc1" in said and "inputs" in said and "fits" in said
    assert at.button(key="own_use").disabled and at.session_state["own_pending"].name
    pick(at, "_pad0").select((0, 0)).run()
    assert errors(at) == [] and not at.button(key="own_use").disabled
    pick(at, "_input0").set_value(2).run()
    (said,) = errors(at)
    assert "conv1" in said and "30×30 to 33×33" in said
    at.button(key="own_undo").click().run()
    assert errors(at) == [] and pick(at, "_input0").value == 32


def test_other_solutions_are_offered_and_choosing_one_changes_the_size_of_the_input(opened):
    at = dropped(opened("home"), saved(named(THREE)))
    options = own(at, "net").options
    assert len(options) == len(set(options)) > 1
    own(at, "net").select_index(1).run()
    assert errors(at) == []
    chain = own(at, "net").value
    height = int(chain.split("-")[0].split("x")[1])
    assert pick(at, "_input0").value == height


def test_what_is_built_is_a_network_like_any_other(opened, cache):
    at = dropped(opened("home"), saved(named(THREE)), "shapes.pth")
    own(at, "names").set_value("circle, square, star").run()
    pick(at, "_active").select("tanh").run()
    pick(at, "_pool1").select("avg2").run()
    pick(at, "_end").select("logsoftmax").run()
    assert own(at, "names").value == "circle, square, star"
    take(at)
    name = "chain:3x32x32-conv4k3-tanh-max2-conv6k3-tanh-avg2-flatten-linear3-logsoftmax"
    assert errors(at) == [] and at.query_params["net"] == name
    assert chosen(at, "net") == name
    assert cards(at, "net")[name]["title"] == "Chain 4-6-3, 3×32×32"  # not the whole name
    file = at.selectbox(key="weights").value
    (kept,) = owners.list_own()
    assert (kept.architecture, kept.classes, kept.preprocessing.size) == (name, ("circle", "square", "star"), (32, 32))
    assert errors(turned(at, "feature_maps")) == [] and pictures(at)
    again = opened("feature_maps", net=name, weights=file)  # a link, after a restart
    assert errors(again) == [] and pictures(again) and chosen(again, "net") == name
    assert errors(opened("anatomy", net=name)) == []


def test_answers_on_drawn_digits_show_the_best_reading_and_it_can_be_taken(opened):
    at = dropped(opened("home"), saved(trained()))
    assert errors(at) == []
    wanted = "28×28: 5 of 5×5, max 2, 9 of 5×5, max 2; 30, 10; ReLU"
    options = own(at, "net").options
    own(at, "net").select_index([option.endswith(wanted) for option in options].index(True)).run()
    assert own(at, "net").value == NATURAL
    own(at, "norm_preset").select("0.5 / 0.5").run()
    at.selectbox(key="own_labelled").select("drawn digits").run()
    at.button(key="own_measure").click().run()
    assert errors(at) == []
    said = words(at)
    assert "of 600 images" in said and "Best: Tanh, average pooling" in said
    (table,) = [frame.value for frame in at.dataframe if "pooling" in frame.value]
    assert len(table) == 6 and list(table["accuracy, %"]) == sorted(table["accuracy, %"], reverse=True)
    at.button(key="own_best").click().run()
    take(at)
    assert errors(at) == [] and at.query_params["net"] == TANH


def test_the_evidence_is_told_in_numbers_and_sentences(opened):
    at = dropped(opened("home"), saved(trained()))
    assert "conv5k5-tanh" in own(at, "net").value  # decided by its answers
    assert "Activation: Tanh, by its cross-entropy" in words(at)
    (table,) = [frame.value for frame in at.dataframe if "measured" in frame.value]
    assert len(table) > 3 and any("%" in result for result in table["result"])


def test_a_chain_is_written_as_python(opened):
    at = dropped(opened("home"), saved(named(THREE)))
    pick(at, "_active").select("tanh").run()
    (source,) = [code.value for code in at.code]
    compile(source, "my_chain.py", "exec")
    assert "nn.Tanh()" in source and "nn.Conv2d(3, 4, 3)" in source


def test_a_file_that_is_no_chain_is_described_and_a_skeleton_is_offered(opened):
    at = dropped(opened("home", net="lenet5"), residual(), "two_ways.pth")
    (said,) = errors(at)
    assert "two_ways.pth" in said and "4 convolutions, 1 linear layer, 3 input channels, 5 classes" in said
    assert "not a chain, since" in said and "The network is unchanged" in said
    (source,) = [code.value for code in at.code]
    compile(source, "my_net.py", "exec")
    assert "CNNVIZ_PLUGINS" in words(at)
    at.button(key="own_close").click().run()
    assert errors(at) == [] and not at.code and chosen(at, "net") == "lenet5"


def test_a_catalogue_s_network_can_be_opened_as_a_chain(opened):
    at = dropped(opened("home"), saved(lenet()))
    assert own(at, "net").value == "lenet5" and not [w for w in at.selectbox if w.key.startswith("own_build")]
    chains = [option for option in own(at, "net").options if option.startswith("Chain ")]
    assert chains
    own(at, "names").set_value("\n".join("abcdefghij")).run()
    own(at, "net").select_index(own(at, "net").options.index(chains[0])).run()
    assert errors(at) == [] and pick(at, "_input0").value
    assert own(at, "names").value == "\n".join("abcdefghij")  # what was typed stays


@pytest.mark.parametrize("folder", ["/nowhere/at/all", "/"])
def test_a_folder_that_is_no_labelled_set_is_refused_in_words(opened, monkeypatch, folder):
    monkeypatch.setattr(access, "is_on_this_computer", lambda: True)
    at = dropped(opened("home"), saved(named(THREE)))
    at.text_input(key="own_folder").set_value(folder).run()
    at.button(key="own_measure").click().run()
    (said,) = errors(at)
    assert "Traceback" not in said and own(at, "net").value == THREE


def test_another_computer_is_offered_no_folder(opened, monkeypatch):
    monkeypatch.setattr(access, "is_on_this_computer", lambda: False)
    at = dropped(opened("home"), saved(named(THREE)))
    assert errors(at) == [] and not [w for w in at.text_input if w.key == "own_folder"]
    assert "No labelled set at hand" in words(at)


def test_another_file_ends_the_builder_of_the_one_before(opened):
    at = dropped(opened("home"), saved(named(THREE)))
    pick(at, "_pad0").select((1, 1)).run()
    at.file_uploader(key=FILE).upload("other.pth", saved(lenet())).run()
    assert errors(at) == [] and own(at, "net").value == "lenet5"
    assert own(at, "names").value.split("\n") == [str(n) for n in range(10)]


def test_a_chain_with_a_name_longer_than_a_file_s_is_used_on_every_page(opened):
    at = dropped(opened("home"), saved(named(LONG)))
    take(at)
    assert errors(at) == [] and len(at.query_params["net"]) > 255
    first = next(iter(cards(at, "net").values()))
    assert first["title"] == "Chain 4-4-4-…-4-9-2, 3×32×32" and first["badge"] == "ready"
    for page in ("feature_maps", "anatomy", "home"):
        assert errors(turned(at, page)) == []
