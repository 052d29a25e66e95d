"""What the lecture, its plan and the documentation say in figures is what the library computes."""

import json
import re
from functools import cache

import numpy as np
import pytest
from docpages import ROOT

import cnnviz
from cnnviz.figures.landscape.words import centre_note
from cnnviz.landscape.bundled import landscapes
from cnnviz.landscape.results import Surface
from cnnviz.studies.anatomy.history import timeline
from cnnviz.tours import Stop, load_tour

PLAN = ROOT / "docs" / "lecture-plan.md"
TWINS = ("resnet56_cifar", "plain56_cifar")


def stop(title: str) -> Stop:
    """A stop of the bundled lecture."""
    (found,) = (one for one in load_tour("lecture").stops if one.title == title)
    return found


def line(title: str) -> str:
    """What the plan says of the stop of this title."""
    (found,) = re.findall(rf"^\|[^|]*\| \[{re.escape(title)}\].*$", PLAN.read_text("utf-8"), re.MULTILINE)
    return found


@cache
def accuracies(name: str) -> dict[str, float]:
    return json.loads((ROOT / "assets" / "weights" / f"{name}-cifar10.json").read_text("utf-8"))["accuracy"]


@pytest.mark.parametrize(("plan", "tour"), [("lecture-plan", "lecture"), ("learning-plan", "how-networks-learn")])
def test_each_plan_calls_every_stop_as_its_tour_does(plan, tour):
    text = (ROOT / "docs" / f"{plan}.md").read_text("utf-8")
    titles = re.findall(r"^\| \d+–\d+ \| \[(.*?)\]", text, re.MULTILINE)
    assert titles == [one.title for one in load_tour(tour).stops] and load_tour(tour).minutes == 45
    assert re.findall(r"^\| \d+–(\d+) \|", text, re.MULTILINE)[-1] == "45"


def test_the_landscapes_have_the_accuracies_that_lecture_and_plan_name():
    notes = [centre_note(surface_of(name)) for name in TWINS]
    shown = [re.search(r"accuracy ([\d.]+) %", note)[1] for note in notes]
    said = stop("Why shortcuts help").notes, line("Why shortcuts help")
    assert all(value in text for value in shown for text in said)
    table = PLAN.read_text("utf-8")
    assert f"of the surface | {shown[0]} % | {shown[1]} % |" in table
    of_training = [f"{accuracies(n)['train']:.1%}, {accuracies(n)['test']:.1%}".replace("%", " %") for n in TWINS]
    assert f"| {of_training[0]} | {of_training[1]} |" in table
    count = sum(p.numel() for p in cnnviz.build(TWINS[0]).parameters())
    assert f"{count:,} dimensions" in said[1]


def surface_of(name: str) -> Surface:
    """The surface of seed 0 that the page opens on."""
    return Surface.load(landscapes()[name].seeds[0])


def test_the_accuracies_of_bundled_weights_are_those_of_the_documentation():
    for page in ("README.md", "docs/networks.md"):
        text = (ROOT / page).read_text("utf-8")
        for name in (*TWINS, "resnet20_cifar", "plain20_cifar"):
            assert f"{accuracies(name)['test']:.1%}".replace("%", " %") in text, (page, name)


def test_the_challenge_has_the_errors_that_lecture_and_plan_name():
    first, last = timeline()[0], timeline()[-1]
    title = "The ImageNet challenge, year by year"
    for text in (stop(title).notes, line(title)):
        assert f"{first.top5:g} % in {first.year}" in text and f"{last.top5:g} % in {last.year}" in text
    best = {year: min(r.top5 for r in timeline() if r.year == year) for year in range(2010, 2018)}
    falls = {year: best[year - 1] - best[year] for year in range(2011, 2018)}
    assert max(falls, key=falls.__getitem__) == 2012


def test_a_black_picture_is_answered_as_the_plan_says():
    model = cnnviz.load("resnet20_cifar")
    (answer,) = model.predict([np.zeros((64, 64, 3), np.uint8)])
    assert f"a {model.class_names[answer.argmax()]}, at {100 * answer.max():.1f} %" in PLAN.read_text("utf-8")


def test_half_of_the_pooled_values_stay_as_the_lecture_says():
    from cnnviz.studies.pooling.pooling import DETECTOR, ENTERING, pool_rows

    found = pool_rows(np.array(DETECTOR), np.array(ENTERING), 1, "max", 3, 1, 1)
    assert "Half" in stop("Pooling forgets small shifts").notes and found.outputs_changed.mean() == 0.5


@pytest.mark.parametrize("title", ["One unit and its receptive field"])
def test_the_unit_of_the_lecture_has_a_small_field_in_its_middle(title):
    chosen = stop(title).query
    model, corpus = cnnviz.load(chosen["net"]), cnnviz.corpus("samples")
    index = cnnviz.index_patches(model, corpus, [chosen["layer"]])
    found = index.attached(model, corpus).unit(chosen["layer"], int(chosen["unit"])).effective_field()
    size, half, most = ("×".join(map(str, box)) for box in (found.size, found.within(0.5), found.within(0.95)))
    assert all(text in stop(title).notes and text in line(title) for text in (size, half)) and most in line(title)
    assert found.within(0.5)[0] <= found.size[0] / 4
    places = np.arange(found.size[0]) - (found.size[0] - 1) / 2
    assert abs(found.weight.sum(1) @ places) < 1 and abs(found.weight.sum(0) @ places) < 1


def test_the_second_lecture_names_the_figures_that_come_out():
    """Its accuracies, slopes, masks, and what a removed block costs."""
    from cnnviz.studies.noise.recorded import read_removed

    text = (ROOT / "docs" / "learning-plan.md").read_text("utf-8")
    shares = [f"{accuracies(name)['train']:.1%}".replace("%", " %") for name in ("plain56_cifar", "plain20_cifar")]
    assert f"{shares[0][:-2]} against {shares[1]}" in text
    assert 1e-12 / 2 < 0.25**20 < 2e-12
    for name, share in (("resnet56_cifar", 81), ("plain56_cifar", 16)):
        found = read_removed(cnnviz.load(name, "bundled", device="cpu"))
        assert found is not None and round(100 * float(np.nanmedian(found.kept))) == share and f"{share} %" in text
