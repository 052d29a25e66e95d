"""The view Evolution: the grid and the cosines of trainings that come with cnnviz and of one's own, and what it says
where there is nothing to be seen."""

from urllib.parse import unquote

import numpy as np
import pytest
from app_jobs import when_built
from app_pages import errors, pictures, traces
from made_runs import STEPS, Stranger, record_run, write_bare_run

from cnnviz.studies.learning.convergence import describe_convergence, measure_convergence
from cnnviz.training.record.result import read_run


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def said(at) -> str:
    assert errors(at) == []
    return "\n".join(str(one.value) for kind in ("markdown", "caption", "info") for one in at.get(kind))


def links(at) -> list[str]:
    queries = [unquote(link.proto.query_string) for link in at.get("page_link")]
    return [query for query in queries if "weights=" in query]


def test_it_opens_on_a_training_that_comes_along_with_grid_curves_and_what_they_say(opened):
    at = when_built(opened("training", view="Evolution"))
    assert at.selectbox(key="run").value == "bundled:resnet56_cifar" and at.selectbox(key="layer").value == "layer1.2"
    assert "near the image arrive before the deep ones" in said(at)
    grid, lines = pictures(at)["evolution_grid"], traces(pictures(at)["training_convergence"])
    words = [label["text"] for label in grid["labels"]]
    assert (
        words[:8] == ["epoch", *map(str, range(0, 61, 10))] and words[8::2] == ["channel"] * 6 and len(words) == 8 + 12
    )
    means = [line for line in lines if line["mode"] == "lines+markers"]
    assert len(means) == 56 and {len(line["y"]) for line in means} == {7}
    assert sum(line["line"]["width"] > 2 for line in means) == 2  # both convolutions of the block
    assert all("layer=layer1.2" in query for query in links(at)) and links(at)


def test_a_run_of_ones_own_shows_what_is_measured_and_a_moment_is_framed(runs, opened):
    record_run(runs / "mine", [0.9, 0.4])
    at = when_built(opened("training", view="Evolution", layer="conv2", channels="3,0"))
    run = read_run(runs / "mine")
    found = measure_convergence(run.snapshots)
    lines = {
        line["hovertemplate"].partition("<br>")[0]: line
        for line in traces(pictures(at)["training_convergence"])
        if "hovertemplate" in line
    }
    for name, mean in zip(found.layers, found.mean.T, strict=True):
        np.testing.assert_allclose(lines[name]["y"], mean, atol=1e-5)
    assert describe_convergence(found, lambda step: "")[0].partition(",")[0] in said(at)
    grid = pictures(at)["evolution_grid"]
    words = [label["text"] for label in grid["labels"]]
    assert words[-4:] == ["channel", "0", "channel", "3"]
    (box,) = grid["boxes"]
    columns = [label["x"] for label in grid["labels"] if label["y"] == 0][1:]
    kept = sorted(run.snapshots)
    assert min(range(len(kept)), key=lambda n: abs(columns[n] - box["x"])) == kept.index(2 * STEPS)  # the best epoch
    at = at.select_slider(key="moment").set_value(0).run()
    (moved,) = pictures(at)["evolution_grid"]["boxes"]
    assert moved["x"] < box["x"] and any("weights=run:mine@0" in query for query in links(at))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bundled:lenet5", "one moment are kept, epoch"),
        ("bare", "keeps no weights"),
        ("gone", "Cosine to the final filters"),
    ],
)
def test_what_cannot_be_shown_is_said(runs, opened, name, expected):
    record_run(runs / "mine", [0.9])
    write_bare_run(runs / "bare", steps='{"step": 1, "loss": 1.0}\n')
    at = when_built(opened("training", view="Evolution", run=name))
    assert expected in said(at)


def test_of_a_network_that_cnnviz_does_not_know_the_cosines_are_shown_and_why_no_patches(runs, opened):
    record_run(runs / "strange", module=Stranger())
    at = opened("training", view="Evolution")
    assert at.selectbox(key="run").value == "strange" and "What the channels answer to cannot be shown" in said(at)
    assert "training_convergence" in pictures(at) and "evolution_grid" not in pictures(at)
    for path in read_run(runs / "strange").snapshots.values():
        path.write_bytes(b"nothing")
    said(opened("training", view="Evolution"))
