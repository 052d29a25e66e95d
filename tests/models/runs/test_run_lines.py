"""Lines that another program writes: whatever is appended, cut off, broken or written anew, a reader that follows sees
what one sees that reads the whole file."""

import json
import random

import numpy as np
import pytest
from made_runs import write_bare_run

from cnnviz.errors import BadInput
from cnnviz.models.runs.files import LineReader
from cnnviz.training.record.result import RunReader, read_run

BROKEN = [
    '{"step": 3, "lo',
    "[]",
    "7",
    '"step"',
    "{}",
    '{"step": -1}',
    '{"step": "4"}',
    '{"step": true}',
    '{"step": 1e3}',
    '{"step": 100000000000000000000}',
    '{"resumed": null}',
    "\0\0\0",
    "[" * 100_000,
    '{"step": NaN}',
    "\ufffd",
]


def slow(text: bytes) -> tuple[list[dict], int]:
    """All lines read one by one, as the format is described."""
    found, broken = [], 0
    for part in text.split(b"\n"):
        try:
            line = json.loads(part.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            line = None
        step = line.get("resumed", line.get("step")) if isinstance(line, dict) else None
        if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 2**53:
            broken += bool(part.strip())
        elif "resumed" in line:
            found = [one for one in found if one["step"] <= step]
        else:
            found.append(line)
    return found, broken


@pytest.mark.parametrize("seed", range(12))
def test_a_reader_that_follows_sees_what_one_sees_that_reads_it_all(tmp_path, seed):
    dice, path = random.Random(seed), tmp_path / "steps.jsonl"
    reader, text = LineReader(path), b""
    assert reader.read() == []
    for _ in range(40):
        if dice.random() < 0.05:  # the program begins anew
            text = b""
        kind = dice.random()
        line = dice.choice(BROKEN) if kind < 0.2 else json.dumps({"step": dice.randrange(50), "loss": "ä"})
        line = json.dumps({"resumed": dice.randrange(50)}) if kind > 0.9 else line
        text += line.encode()[: dice.randrange(len(line)) if dice.random() < 0.1 else None]
        text += b"\n" if dice.random() < 0.9 else b""
        path.write_bytes(text)
        lines, _broken = slow(text)  # a last line without its end counts if it is whole
        assert reader.read() == lines
        assert reader.broken == slow(text[: text.rfind(b"\n") + 1])[1]
    path.unlink()
    assert reader.read() == []


def test_what_was_read_is_not_read_again(tmp_path):
    path = tmp_path / "steps.jsonl"
    path.write_text("".join(json.dumps({"step": n}) + "\n" for n in range(1000)))
    reader = LineReader(path)
    first, state = reader.read(), reader.state
    assert reader.read() is first and reader.state == state
    with open(path, "a") as file:
        file.write('{"step": 1000}\n')
    assert reader.read() is first and len(first) == 1001 and reader.state != state


def test_a_run_is_followed_from_its_first_line_to_its_end(tmp_path):
    folder = write_bare_run(tmp_path / "run")
    reader = RunReader(folder)
    now = reader.read()
    assert (
        now.running and not len(now.steps["step"]) and now.best_epoch is None and now.looks["gradient"].shape == (0, 2)
    )
    for step in range(1, 6):
        with open(folder / "steps.jsonl", "a") as file:
            file.write(json.dumps({"step": step, "loss": 1 / step, "time": float(step)}) + "\n")
        assert reader.read().steps["step"].tolist() == list(range(1, step + 1))
    with open(folder / "layers.jsonl", "a") as file:
        file.write('{"step": 5, "gradient": [1, null], "weight": [1, 2, 3], "update": "no"}\n')
    looks = reader.read().looks
    assert (
        looks["gradient"].tolist()[0][0] == 1 and np.isnan(looks["gradient"][0, 1]) and np.isnan(looks["weight"]).all()
    )
    write_bare_run(folder, {"ended": 1.0})
    assert not reader.read().running
    (folder / "run.json").unlink()
    with pytest.raises(BadInput, match="no recorded training"):
        reader.read()


@pytest.mark.parametrize("about", ["[]", "7", "", '{"layers"', "null", "[" * 100_000])
def test_a_run_json_that_tells_nothing_is_said(tmp_path, about):
    folder = write_bare_run(tmp_path / "run")
    (folder / "run.json").write_text(about)
    with pytest.raises(BadInput, match=r"run\.json"):
        read_run(folder)


def test_values_of_any_kind_are_numbers_or_none(tmp_path):
    strange = {"loss": None, "a": True, "b": [1], "c": {"d": 1}, "e": "text", "f": 10**400, "g": 2}
    lines = [{"step": 1, **strange}, {"step": 2, "loss": 0.5, "g": "x"}]
    about = {"layers": "conv", "architecture": 7, "preprocessing": "none", "steps_per_epoch": "many"}
    epochs = '{"step": 2, "epoch": null, "val_loss": 0.3}\n{"step": 4, "epoch": 2, "val_loss": 0.2}\n'
    text = "".join(json.dumps(line) + "\n" for line in lines)
    run = read_run(write_bare_run(tmp_path / "run", about, steps=text, epochs=epochs))
    assert set(run.steps) == {"step", "loss", "f", "g"} and run.layers == [] and run.architecture == ""
    assert np.isnan(run.steps["loss"][0]) and run.steps["loss"][1] == 0.5 and np.isnan(run.steps["f"]).all()
    assert run.epochs["epoch"].tolist() == [1, 2] and run.epochs["test_loss"].tolist() == [0.3, 0.2]
    assert run.assumed == ("val_loss is shown as test",)
    assert run.best_epoch == 2 and run.epoch_at == {0: 0, 2: 1, 4: 2} and run.broken == 0


@pytest.mark.parametrize(
    ("given", "share"), [([0.5, 1.0], [0.5, 1.0]), ([50.0, 93.5], [0.5, 0.935]), ([None, 0.0], [np.nan, 0])]
)
def test_accuracies_are_shares_whichever_a_loop_gives(tmp_path, given, share):
    steps = "".join(json.dumps({"step": n, "accuracy": value}) + "\n" for n, value in enumerate(given))
    epochs = json.dumps({"step": 2, "epoch": 1, "test_accuracy": given[1], "test_loss": 3.0})
    run = read_run(write_bare_run(tmp_path / "run", steps=steps, epochs=epochs))
    np.testing.assert_allclose(run.steps["accuracy"], share)
    assert run.epochs["test_accuracy"] == share[1] and run.epochs["test_loss"] == 3
    assert bool(run.assumed) == (given[1] > 1)
