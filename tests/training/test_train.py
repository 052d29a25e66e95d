"""Training runs on tiny data sets: they learn, survive kill -9, stop when told, and say what they did."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_folders import CLASSES, class_folders, idx_folder
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import cnnviz
from cnnviz.data.labelled import load_labelled
from cnnviz.errors import BadInput, Cancelled, TrainingDiverged
from cnnviz.models.catalogue import architecture
from cnnviz.models.catalogue.registry import find
from cnnviz.training import loop
from cnnviz.training.loop import evaluate, train
from cnnviz.training.recipe import Recipe
from cnnviz.training.record.files import list_epochs
from cnnviz.training.record.result import read_run
from cnnviz.training.state import CHECKPOINT, HISTORY

ROOT = Path(__file__).resolve().parents[2]
QUICK = Recipe(epochs=3, batch=4, lr=0.03, warmup=0.5, crop=0, flip=False, shift=1, precision="float32")
MANY_STEPS = replace(QUICK, batch=2, lr=0.02, epochs=2)  # progress is told every 20 steps: also within an epoch


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    return class_folders(tmp_path_factory.mktemp("bars"), train=60, test=20)


def history(out: Path) -> list[dict]:
    """The epochs without their duration, which no two runs share."""
    return [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in json.loads((out / HISTORY).read_text())]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return torch.load(out / CHECKPOINT, weights_only=True)["model"]


@pytest.fixture(scope="module")
def unbroken(folders, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    train("lenet5", folders, out, MANY_STEPS, "cpu")
    return out


def test_class_folders_are_learnt_and_the_final_file_says_everything(folders, tmp_path):
    path = train("lenet5", folders, tmp_path / "run", QUICK, "cpu")
    epochs = history(tmp_path / "run")
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert epochs[-1]["train_loss"] < 0.7 * epochs[0]["train_loss"]
    with safe_open(path, "pt") as file:
        notes = json.loads(file.metadata()["cnnviz"])
    assert notes["architecture"] == "lenet5"
    assert notes["classes"] == list(CLASSES)
    assert notes["preprocessing"] == json.loads(json.dumps(find("lenet5").preprocessing.as_dict()))
    assert Recipe.from_dict(notes["recipe"]) == QUICK
    assert notes["accuracy"]["test"] == epochs[-1]["test_accuracy"]
    assert notes["accuracy"]["test_images"] == 20
    beside = json.loads(path.with_suffix(".json").read_text())
    assert beside["history"][-1]["test_loss"] == epochs[-1]["test_loss"]


def test_the_final_file_loads_by_itself_with_the_accuracy_it_claims(folders, unbroken):
    model = cnnviz.load(weights=next(unbroken.glob("*.safetensors")), device="cpu")
    assert model.name == "lenet5" and model.class_names == list(CLASSES)
    right = total = 0
    for label, name in enumerate(CLASSES):
        pictures = [Image.open(path) for path in sorted((folders / "test" / name).iterdir())]
        right += int((model.predict(pictures).argmax(1) == label).sum())
        total += len(pictures)
    assert total == 20
    assert right / total == history(unbroken)[-1]["test_accuracy"]


def test_idx_files_are_learnt_and_keep_their_class_numbers(tmp_path):
    path = train("lenet5", idx_folder(tmp_path / "bars", 60, 20), tmp_path / "run", QUICK, "cpu")
    epochs = history(tmp_path / "run")
    assert epochs[-1]["train_loss"] < 0.7 * epochs[0]["train_loss"]
    assert cnnviz.load(weights=path, device="cpu").class_names == [str(i) for i in range(10)]


def test_the_same_seed_gives_the_same_run_and_another_one_another(folders, unbroken, tmp_path):
    train("lenet5", folders, tmp_path / "again", MANY_STEPS, "cpu")
    train("lenet5", folders, tmp_path / "other", replace(MANY_STEPS, seed=1), "cpu")
    assert history(tmp_path / "again") == history(unbroken)
    assert history(tmp_path / "other") != history(unbroken)


def test_a_run_does_not_disturb_the_callers_random_numbers(folders, tmp_path):
    before = torch.random.get_rng_state()
    train("lenet5", folders, tmp_path, replace(QUICK, epochs=1), "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)


KILLED = """
import json, os, signal, sys, torch
from cnnviz.training.loop import train
from cnnviz.training.recipe import Recipe
torch.set_num_threads(int(sys.argv[4]))
def at(progress):
    if progress.done == 1 and progress.part < 1:
        os.kill(os.getpid(), signal.SIGKILL)
train("lenet5", sys.argv[1], sys.argv[2], Recipe.from_dict(json.loads(sys.argv[3])), "cpu", at)
"""


def test_a_run_is_recorded_with_its_weights_from_the_start_to_the_end_in_half_precision(folders, tmp_path):
    out = tmp_path / "run"
    path = train("lenet5", folders, out, QUICK, "cpu")
    found = read_run(out)
    steps = found.about["steps_per_epoch"]
    assert found.steps["step"].tolist() == list(range(1, QUICK.epochs * steps + 1)) and not found.running
    assert {0, steps, 2 * steps, 3 * steps} <= set(found.snapshots)
    done = history(out)
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        np.testing.assert_allclose(found.epochs[name], [epoch[name] for epoch in done], rtol=1e-5)
    batches = found.steps["loss"].reshape(QUICK.epochs, steps)
    sizes = np.full(steps, QUICK.batch)
    sizes[-1] = found.about["images"] - sizes[:-1].sum()
    np.testing.assert_allclose(batches @ sizes / sizes.sum(), found.epochs["train_loss"], rtol=1e-4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(QUICK.seed)
        start = cnnviz.build("lenet5", len(CLASSES)).state_dict()
    for step, truth in ((0, start), (3 * steps, load_file(path))):
        kept = load_file(found.snapshots[step])
        assert kept.keys() == truth.keys() and all(v.dtype == torch.float16 for v in kept.values())
        assert all(torch.equal(kept[name], truth[name].half()) for name in kept)
    assert cnnviz.load(weights=found.snapshots[steps], device="cpu").class_names == list(CLASSES)


def test_a_run_killed_within_an_epoch_goes_on_exactly_where_it_stopped(folders, unbroken, tmp_path):
    recipe, threads = json.dumps(MANY_STEPS.as_dict()), str(torch.get_num_threads())
    command = [sys.executable, "-c", KILLED, str(folders), str(tmp_path), recipe, threads]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": threads}, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(history(tmp_path)) == 1
    train("lenet5", folders, tmp_path, MANY_STEPS, "cpu")
    assert history(tmp_path) == history(unbroken)
    for name, tensor in weights(unbroken).items():
        assert torch.equal(weights(tmp_path)[name], tensor), name


def test_a_snapshot_is_there_before_the_checkpoint_that_would_pass_it_by(folders, tmp_path, monkeypatch):
    """Killed between the two, a run that goes on writes the snapshot of the epoch again."""
    save = loop.save_checkpoint

    def killed(folder: Path, *more: object) -> None:
        if 2 in list_epochs(folder):
            raise KeyboardInterrupt
        save(folder, *more)

    monkeypatch.setattr(loop, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        train("lenet5", folders, tmp_path, QUICK, "cpu")
    monkeypatch.undo()
    assert len(history(tmp_path)) == 1
    train("lenet5", folders, tmp_path, QUICK, "cpu")
    assert list(list_epochs(tmp_path)) == [0, 1, 2, 3]
    assert read_run(tmp_path).steps["step"].tolist() == list(range(1, len(read_run(tmp_path).steps["step"]) + 1))


def test_smaller_crops_are_learnt_from_and_the_last_epoch_sees_whole_images(tmp_path, monkeypatch):
    seen, folders = [], class_folders(tmp_path / "bars", train=8, test=4)
    lay_out = loop.lay_out
    monkeypatch.setattr(loop, "lay_out", lambda images, form: (seen.append(images.shape[2:]), lay_out(images, form))[1])
    train("resnet20_cifar", folders, tmp_path / "run", replace(QUICK, batch=64, shift=0, side=20), "cpu")
    assert seen[1:] == [(20, 20), (20, 20), (32, 32)]  # the first are the probe images


@pytest.mark.parametrize("side, said", [(20, "lenet5 does not take an image of 20 × 20"), (29, "side = 29 is more")])
def test_crops_that_a_network_or_its_images_do_not_have_are_refused(folders, tmp_path, side, said):
    with pytest.raises(BadInput, match=said):
        train("lenet5", folders, tmp_path / "run", replace(QUICK, side=side), "cpu")


def test_an_epoch_is_evaluated_in_batches_no_larger_than_those_of_the_training(folders, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(loop, "evaluate", lambda *_: (asked.append(_[3]), (1.0, 0.5))[1])
    train("lenet5", folders, tmp_path, replace(QUICK, epochs=1), "cpu")
    assert asked == [QUICK.batch]


def test_evaluating_where_memory_is_short_takes_fewer_images_at_once_and_leaves_the_mode(folders):
    class Cramped(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tried.append(len(x))
            if len(x) > 6:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 TiB.")
            return super().forward(x)

    tried: list[int] = []
    torch.manual_seed(0)
    module, preprocessing = Cramped(nn.Flatten(), nn.Linear(784, 2)).train(), find("lenet5").preprocessing
    data = load_labelled(folders, "test", preprocessing)
    found = evaluate(module, data, preprocessing, batch=8)
    assert tried == [8, 4, 4, 4, 4, 4]
    assert module.training and found == pytest.approx(evaluate(module, data, preprocessing, batch=5))


def test_a_checkpoint_of_another_program_is_refused_and_kept(folders, tmp_path):
    for content in ({"epoch": 3, "state_dict": {}}, replace):  # plain values; and what unpickling would have to run
        torch.save(content, tmp_path / CHECKPOINT)
        before = (tmp_path / CHECKPOINT).read_bytes()
        with pytest.raises(BadInput, match=r"checkpoint.pt cannot be continued.*Choose another --out"):
            train("lenet5", folders, tmp_path, QUICK, "cpu")
        assert (tmp_path / CHECKPOINT).read_bytes() == before
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(BadInput, match="damaged or of another program"):
        train("lenet5", folders, tmp_path, QUICK, "cpu")


def test_a_file_is_no_folder_for_a_run(folders, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(BadInput, match="cannot be the folder of a run.*Choose another --out"):
            train("lenet5", folders, out, QUICK, "cpu")


def test_a_finished_run_is_not_trained_again(folders, unbroken):
    before = weights(unbroken)
    seen = []
    train("lenet5", folders, unbroken, MANY_STEPS, "cpu", seen.append)
    assert not seen
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(unbroken).items())


@pytest.mark.parametrize(
    "architecture, recipe, named",
    [("lenet5", replace(MANY_STEPS, lr=0.01), "lr: 0.02 there, 0.01 now"), ("resnet20_cifar", MANY_STEPS, "lenet5")],
)
def test_a_folder_of_other_settings_is_refused_naming_what_differs(folders, unbroken, architecture, recipe, named):
    before = (unbroken / CHECKPOINT).read_bytes()
    with pytest.raises(BadInput, match=named):
        train(architecture, folders, unbroken, recipe, "cpu")
    assert (unbroken / CHECKPOINT).read_bytes() == before


def test_other_data_in_the_same_folder_is_refused(unbroken, tmp_path):
    with pytest.raises(BadInput, match="data: "):
        train("lenet5", class_folders(tmp_path, train=58, test=20), unbroken, MANY_STEPS, "cpu")


def test_cancelling_keeps_the_finished_epochs_and_the_run_can_be_continued(folders, unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOOK", 1e9)  # every 20 steps alone, not also every fifth of a second
    reports = []

    def stop(progress):
        reports.append(progress)
        return not (progress.done == 1 and progress.part < 1)

    with pytest.raises(Cancelled, match="1 finished epoch"):
        train("lenet5", folders, tmp_path, MANY_STEPS, "cpu", stop)
    assert history(tmp_path) == history(unbroken)[:1]
    assert [(r.done, r.total, r.part) for r in reports] == [(0, 2, 20 / 30), (0, 2, 1), (1, 2, 20 / 30)]
    assert [len(r.finished) for r in reports] == [0, 0, 1]
    assert all(r.seconds_left >= 0 and r.images_per_second > 0 for r in reports)
    train("lenet5", folders, tmp_path, MANY_STEPS, "cpu")
    assert history(tmp_path) == history(unbroken)


def test_dropout_falls_alike_in_a_run_that_was_stopped_and_continued(folders, tmp_path, monkeypatch):
    def builder(classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, classes))

    monkeypatch.setitem(architecture._CATALOGUE, "drops", replace(find("lenet5"), name="drops", builder=builder))
    recipe = replace(MANY_STEPS, lr=0.002)
    train("drops", folders, tmp_path / "unbroken", recipe, "cpu")
    with pytest.raises(Cancelled):
        train("drops", folders, tmp_path / "stopped", recipe, "cpu", lambda progress: progress.done < 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)  # another process, another state of the global generator
        train("drops", folders, tmp_path / "stopped", recipe, "cpu")
    assert len(history(tmp_path / "stopped")) == 2
    assert history(tmp_path / "stopped") == history(tmp_path / "unbroken")


def test_a_loss_that_is_no_number_stops_at_once_with_advice(folders, tmp_path):
    with pytest.raises(TrainingDiverged, match=r"--lr 200000 .*--warmup"):
        train("lenet5", folders, tmp_path, replace(MANY_STEPS, lr=1e6, warmup=0.0), "cpu")
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_diverged_run_leaves_its_last_good_checkpoint(folders, tmp_path):
    one_step = replace(QUICK, batch=60, epochs=12, lr=1e6, warmup=0.0, schedule="constant", weight_decay=0.5)
    with pytest.raises(TrainingDiverged, match="last good checkpoint, after epoch"):
        train("lenet5", folders, tmp_path, one_step, "cpu")
    kept = history(tmp_path)
    assert 1 <= len(kept) < 12
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path).values())
    module = cnnviz.build("lenet5", 2)
    module.load_state_dict(weights(tmp_path))
    preprocessing = find("lenet5").preprocessing
    loss, accuracy = evaluate(module, load_labelled(folders, "test", preprocessing), preprocessing)
    assert (loss, accuracy) == pytest.approx((kept[-1]["test_loss"], kept[-1]["test_accuracy"]))


def test_evaluate_is_the_mean_over_images_taken_one_by_one(folders, unbroken):
    model = cnnviz.load(weights=next(unbroken.glob("*.safetensors")), device="cpu")
    data = load_labelled(folders, "test", model.preprocessing)
    losses, right = [], 0
    for pixels, label in zip(data.pixels, data.labels, strict=True):
        scores = model.module(model.preprocessing.normalise(torch.from_numpy(pixels))[None])[0].double()
        losses.append(float(scores.exp().sum().log() - scores[label]))
        right += int(scores.argmax()) == label
    found = evaluate(model.module, data, model.preprocessing, batch=7)
    assert found == pytest.approx((sum(losses) / len(losses), right / len(losses)), rel=1e-5)


def test_test_folders_that_name_other_classes_are_refused(tmp_path):
    data = class_folders(tmp_path / "bars", train=8, test=8)
    (data / "test" / CLASSES[0]).rename(data / "test" / "reclining")
    with pytest.raises(BadInput, match="lying, reclining"):
        train("lenet5", data, tmp_path / "run", QUICK, "cpu")


def test_progress_reports_hold_plain_numbers(folders, tmp_path):
    reports = []
    train("lenet5", folders, tmp_path, replace(QUICK, epochs=1), "cpu", reports.append)
    assert json.loads(json.dumps(asdict(reports[-1])))["total"] == 1
    assert reports[-1].loss == history(tmp_path)[0]["train_loss"]


@pytest.mark.gpu
def test_a_gpu_learns_the_bars_too(folders, tmp_path):
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        pytest.skip("no CUDA or MPS device here")
    train("lenet5", folders, tmp_path, replace(QUICK, precision="auto"), "auto")
    epochs = history(tmp_path)
    assert epochs[-1]["train_loss"] < 0.7 * epochs[0]["train_loss"]
