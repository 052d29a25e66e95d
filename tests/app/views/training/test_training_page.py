"""The page Training: runs that run, have ended, are broken or gone; and weights of their moments on every page."""

import json
import re
import time
from urllib.parse import unquote

import numpy as np
import pytest
from app_pages import errors, pictures, traces
from made_runs import STEPS, Stranger, record_run, write_bare_run
from torch import nn

import cnnviz
from app.session import networks, run_weights
from app.session.networks import Choice
from app.session.run_weights import network_of
from app.shell.pages import list_pages
from cnnviz.errors import CnnvizError
from cnnviz.models.runs.files import FILTERS, SNAPSHOTS, list_arrays
from cnnviz.training.record.result import read_run

FOUR = {f"bundled:{name}_cifar" for name in ("plain20", "plain56", "resnet20", "resnet56")}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def forget_listing() -> None:
    """As if the seconds had passed for which the list of runs is kept."""
    run_weights._look.clear()


def said(at) -> str:
    assert errors(at) == []
    return "\n".join(one.value for kind in (at.info, at.caption, at.markdown) for one in kind)


def lines(at) -> list[dict]:
    return traces(pictures(at)["training_curves"])


def links(at) -> dict[str, str]:
    """{label: its query} of the links that carry weights."""
    found = [(link.proto.label, link.proto.query_string) for link in at.get("page_link")]
    return {label: query for label, query in found if "weights=" in query}


def test_without_runs_the_page_shows_degradation_and_the_lines_to_record_one(runs, opened):
    at = opened("training")
    assert len({line["legendgroup"] for line in lines(at)}) == 4 and set(at.multiselect(key="runs").value) == FOUR
    told = said(at)
    assert "worse by 4.5 points" in told and "50 epochs for 20 layers, 60 epochs for 56" in told
    assert "cnnviz.record" in at.code[0].value and "CNNVIZ_RUNS" in told and str(runs) in told
    at = opened("training", view="Layers", measure="Dead", run="bundled:lenet5_avg")
    assert errors(at) == [] and at.selectbox(key="run").options == [
        "LeNet-5, ReLU and average pooling",
        "LeNet-5, tanh and average pooling",
        "Network in Network, CIFAR",
    ]


def test_a_run_opens_at_its_best_epoch_with_links_that_carry_its_weights(runs, opened):
    record_run(runs / "a" / "mine", [0.9, 0.4, 0.6])
    at = opened("training")
    told = {line["name"] for line in lines(at)}
    assert told == {"a/mine"} and "The best of 3 epochs" in said(at) and "Epoch 2" in said(at)
    found = links(at)
    assert {"Feature maps", "Top-9 patches", "Filters"} <= set(found)
    assert all("weights=run:a/mine@2" in unquote(query) and "net=lenet5" in query for query in found.values())
    assert json.loads(pictures(at)["training_curves"]["figure"])["layout"]["shapes"][0]["x0"] == 2
    at = opened("training", moment=str(3 * STEPS))
    assert "weights=run:a/mine@3" in unquote(links(at)["Filters"])
    at = at.button(key="to_best").click().run()
    assert "weights=run:a/mine@2" in unquote(links(at)["Filters"])


def test_the_chosen_weights_become_those_of_all_pages(runs, opened):
    record_run(runs / "mine")
    at = opened("training").button(key="use_weights").click().run()
    assert errors(at) == [] and (at.query_params["weights"], at.query_params["net"]) == ("run:mine@2", "lenet5")
    assert at.button(key="use_weights").disabled
    at = at.switch_page("../pages/feature_maps.py").run()
    assert errors(at) == [] and at.selectbox(key="weights").value == "run:mine@2"


def test_several_runs_stand_on_one_axis_and_of_one_that_lacks_it_is_said_so(runs, opened):
    record_run(runs / "mine")
    at = opened("training", runs="mine,bundled:lenet5")
    assert len({line["line"]["color"] for line in lines(at)}) == 2
    at = opened("training", runs="mine,bundled:lenet5", axis="Steps")
    assert {line["legendgroup"] for line in lines(at)} == {"mine"} and "nothing is known of it along steps" in said(at)
    at = opened("training", runs="bundled:lenet5", axis="Steps")
    assert "Along steps nothing is known of 1 run. Choose Epochs or Time." in said(at)
    at = at.button(key="degradation").click().run()
    assert set(at.multiselect(key="runs").value) == FOUR and "Without shortcuts" in said(at)
    assert set(at.query_params["runs"].split(",")) == FOUR
    at = opened("training", runs="gone,mine")
    assert at.multiselect(key="runs").value == ["mine"]


def test_names_with_commas_and_other_letters_come_back_from_the_address(runs, opened):
    for name in ("a,b", "ä 100%", "x&y=z"):
        write_bare_run(runs / name, steps='{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    at = opened("training", axis="Steps")
    at = at.multiselect(key="runs").set_value(["a,b", "ä 100%", "x&y=z"]).run()
    again = opened("training", **{key: value for key, value in at.query_params.items()})
    assert again.multiselect(key="runs").value == ["a,b", "ä 100%", "x&y=z"] and len(lines(again)) == 3


def test_a_running_run_is_followed_and_its_end_is_told(runs, opened):
    folder = write_bare_run(runs / "live", {"architecture": "lenet5"}, steps="")
    at = opened("training")
    assert at.segmented_control(key="axis").value == "Epochs"
    assert "**live**: running; no step is written yet." in said(at) and "Nothing to draw yet" in said(at)
    assert pictures(at)["follow_curves"]["going"]
    assert at.multiselect(key="runs").options[0] == "live · running"
    for step in range(1, 9):
        with open(folder / "steps.jsonl", "a") as file:
            file.write(json.dumps({"step": step, "loss": 1 / step, "time": time.time()}) + "\n")
    at = at.run()  # along epochs nothing is known yet
    (curve,) = lines(at)
    assert at.segmented_control(key="axis").value == "Steps"
    np.testing.assert_allclose(curve["y"], [1 / n for n in range(1, 9)], rtol=1e-6)
    assert "no epoch has ended yet" in said(at)
    write_bare_run(runs / "live", {"ended": time.time()})
    at = at.run()
    assert not pictures(at)["follow_curves"]["going"] and "**live**: no epochs were recorded." in said(at)


@pytest.mark.parametrize("view", ["Curves", "Layers", "Filters"])
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "Nothing to draw yet|No look into the layers|keeps no filters"),
        ({"steps": "{]\n\0\n"}, "2 lines of its files cannot be read|No look|keeps no filters"),
        ({"steps": '{"step": 1, "loss": null}\n'}, "no number .NaN or infinite. from step 1|No look|keeps no filters"),
        ({"layers": '{"step": 1, "gradient": [null, null]}\n'}, "no step is written|No look|keeps no filters"),
        ({"epochs": '{"step": 1}\n{"step": 0}\n'}, "Along epochs nothing is known|No look|keeps no filters"),
    ],
)
def test_what_a_run_lacks_is_said_in_words(runs, opened, view, files, expected):
    write_bare_run(runs / "bare", **files)
    assert re.search(expected, said(opened("training", view=view)))


def test_a_network_without_layers_or_filters_is_said(runs, opened):
    write_bare_run(runs / "none", {"layers": []}, steps='{"step": 1, "loss": 1.0}\n')
    assert "no layers with trainable parameters" in said(opened("training", view="Layers"))
    assert "No rectifier was watched" in said(opened("training", view="Layers", measure="Dead"))
    with cnnviz.record(runs / "flat", nn.Linear(4, 2)) as run:
        run.step(loss=1.0)
    assert "no convolution" in said(opened("training", view="Filters", runs="flat"))


def test_damaged_arrays_and_a_folder_that_goes_while_it_is_open_are_said(runs, opened):
    record_run(runs / "mine")
    at = opened("training")
    for path in list_arrays(runs / "mine", FILTERS).values():
        path.write_bytes(b"nothing")
    assert "cannot be read" in said(opened("training", view="Filters"))
    (runs / "mine" / "run.json").unlink()
    told = said(at.run())  # as it stands, or as it is looked up anew
    assert "There is no" in told or "no recorded training" in told or "No recorded run" in told
    forget_listing()
    assert set(at.run().multiselect(key="runs").value) == FOUR


def test_a_network_that_cnnviz_does_not_know_has_curves_and_filters_and_the_reason_for_no_links(runs, opened):
    record_run(runs / "strange", module=Stranger())
    at = opened("training")
    assert "Other pages cannot show this network" in said(at) and not any(
        "strange" in query for query in links(at).values()
    )
    assert "training_filters" in pictures(opened("training", view="Filters"))
    chain = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    record_run(runs / "chain", module=chain)
    forget_listing()
    at = opened("training", runs="chain")
    assert "net=chain" in links(at)["Feature maps"]
    at = opened("feature_maps", weights="run:chain@2")
    assert errors(at) == [] and at.query_params["weights"] == "run:chain@2"


def test_heat_maps_show_what_was_recorded_layer_by_layer(runs, opened):
    record_run(runs / "mine")
    run = read_run(runs / "mine")
    for measure, word in (("gradient", "Gradients"), ("update", "Updates"), ("weight", "Weights"), ("dead", "Dead")):
        at = opened("training", view="Layers", measure=word)
        if not np.isfinite(run.looks[measure]).any():
            assert "No rectifier" in said(at)
            continue
        (heat,) = traces(pictures(at)["training_layers"])
        shown = np.array(heat["customdata"], float).reshape(-1, len(run.looks["step"]))
        np.testing.assert_allclose(shown, run.looks[measure].T * (100 if measure == "dead" else 1), rtol=1e-5)


# --- weights of a run on every page -------------------------------------------------------------------------


def test_pickers_offer_the_runs_that_fit_and_all_moments_of_the_one_that_is_shown(runs, opened):
    record_run(runs / "mine")
    at = opened("feature_maps", net="lenet5")
    assert {"mine · last"} == {name for name in at.selectbox(key="weights").options if "mine" in name}
    at = opened("feature_maps", weights="run:mine@1")
    offered = at.selectbox(key="weights").options
    assert {"mine · before training", "mine · epoch 1", "mine · epoch 3", "mine · best epoch"} <= set(offered)
    assert errors(at) == [] and at.selectbox(key="weights").value == "run:mine@1"
    at = opened("feature_maps", net="resnet20_cifar")
    assert not any("mine" in name for name in at.selectbox(key="weights").options)


def test_every_page_takes_the_weights_of_a_moment_and_keeps_them(runs, opened):
    record_run(runs / "mine")
    for entry in list_pages():
        at = opened(entry.file.removesuffix(".py"), weights="run:mine@1", camera="Snapshot")
        assert errors(at) == [] and at.query_params["weights"] == "run:mine@1", entry.file
        shown = [box.value for box in at.selectbox if box.key == "weights"]
        without = ("anatomy", "playground", "landscape", "training", "backward")  # no network of one's own at first
        assert shown == ([] if entry.address in without else ["run:mine@1"]), entry.file


def test_two_epochs_stand_side_by_side(runs, opened):
    record_run(runs / "mine")
    at = opened(
        "first_layer_filters", net="lenet5", weights="run:mine@0", beside="weights", beside_weights="run:mine@3"
    )
    assert {"**mine · before training**", "**mine · epoch 3**"} <= {one.value for one in at.markdown}
    shown = pictures(at)
    assert errors(at) == [] and shown["filter_wall"]["src"] != shown["filter_wall_beside"]["src"]


@pytest.mark.parametrize("weights", ["run:gone@1", "run:mine@soon", "run:", "run:mine@step-"])
def test_a_link_to_weights_that_are_not_there_says_so(runs, opened, weights):
    record_run(runs / "mine")
    (message,) = errors(opened("feature_maps", net="lenet5", weights=weights))
    assert "run" in message and ("mine" in message or "names no moment" in message)


def test_a_run_that_is_trained_anew_is_shown_anew(runs, opened):
    def shown() -> str:
        return networks.load(Choice("lenet5", "run:mine@3", "cpu")).model.fingerprint

    record_run(runs / "mine")
    first = shown()
    assert shown() == first
    for path in (runs / "mine").rglob("*"):
        if path.is_file():
            path.unlink()
    record_run(runs / "mine", seed=1)
    assert shown() not in ("", first)
    for path in list_arrays(runs / "mine", SNAPSHOTS).values():
        path.unlink()
    with pytest.raises(CnnvizError, match="keeps no weights"):
        shown()


def test_a_run_that_began_after_the_last_look_is_shown_by_its_link(runs, opened):
    record_run(runs / "first")
    assert {line["name"] for line in lines(opened("training"))} == {"first"}
    record_run(runs / "second")
    assert {line["name"] for line in lines(opened("training", runs="first,second"))} == {"first", "second"}
    record_run(runs / "third")
    assert network_of("third") == ("lenet5", "")
