"""A training of Lightning is recorded by its callback, step by step, also where it goes on from a checkpoint."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from cnnviz.errors import BadInput
from cnnviz.training.record.lightning_callback import make_lightning_callback
from cnnviz.training.record.result import read_run


def loaders() -> tuple[DataLoader, DataLoader]:
    torch.manual_seed(0)
    images, labels = torch.randn(48, 3, 8, 8), torch.arange(48) % 3
    training, testing = TensorDataset(images, labels), TensorDataset(images[:12], labels[:12])
    return DataLoader(training, 8), DataLoader(testing, 12)


def make_module(lightning, losses: list[float]) -> nn.Module:
    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

        def training_step(self, batch, _number):
            loss = F.cross_entropy(self.net(batch[0]), batch[1])
            losses.append(loss.item())
            return loss

        def validation_step(self, batch, _number):
            self.log("val/loss", F.cross_entropy(self.net(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.05)

    return Module()


def train(lightning, folder: Path, epochs: int, losses: list[float], checkpoint: Path | None = None, **more) -> object:
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[make_lightning_callback(folder, every=2)],
        **more,
    )
    trainer.fit(make_module(lightning, losses), *loaders(), ckpt_path=checkpoint)
    return trainer


def test_each_step_of_the_optimiser_is_recorded_and_goes_on_after_a_checkpoint(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")
    losses: list[float] = []
    trainer = train(lightning, tmp_path / "run", 2, losses)
    found = read_run(tmp_path / "run")
    np.testing.assert_allclose(found.steps["loss"], losses, rtol=1e-5)
    assert found.steps["step"].tolist() == list(range(1, 13)) and set(found.steps["lr"]) == {0.05}
    assert found.epochs["epoch"].tolist() == [1, 2] and np.isfinite(found.epochs["val_loss"]).all()
    assert not found.running and "net.0" in found.layers and (found.looks["gradient"] > 0).all()
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    train(lightning, tmp_path / "run", 3, losses, tmp_path / "last.ckpt")
    again = read_run(tmp_path / "run")
    assert again.steps["step"].tolist() == list(range(1, 19)) and again.epochs["epoch"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(again.steps["loss"], losses, rtol=1e-5)


def test_summed_gradients_make_one_step(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")
    train(lightning, tmp_path / "run", 1, [], accumulate_grad_batches=3)
    assert read_run(tmp_path / "run").steps["step"].tolist() == [1, 2]


def test_without_lightning_the_way_is_told(tmp_path, monkeypatch):
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BadInput, match="pip install lightning"):
        make_lightning_callback(tmp_path)
