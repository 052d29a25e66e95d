"""Choosing and describing devices on whatever machine the tests run."""

import mmap
import os
import platform

import pytest
import torch

from cnnviz.device import available, choose, describe, doubled, exact_float32, fast_bfloat16
from cnnviz.errors import BadInput


def test_the_cpu_is_always_there_and_comes_last():
    assert available()[-1] == "cpu" and available().count("cpu") == 1


def test_auto_takes_the_first_of_what_is_available():
    assert choose() == torch.device(available()[0])
    assert choose("cpu") == torch.device("cpu")


@pytest.mark.parametrize("missing", ["cuda:99", "tpu", "", "CPU"])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(missing):
    with pytest.raises(BadInput, match="Available: auto, .*cpu"):
        choose(missing)


def test_without_an_accelerator_everything_falls_to_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert available() == ["cpu"] and choose("auto").type == "cpu"
    with pytest.raises(BadInput, match="'cuda' is not available"):
        choose("cuda")


def test_memory_in_use_grows_with_what_is_held():
    before = describe("cpu")
    with mmap.mmap(-1, 64 << 20) as block:  # from the system: an allocator may have as much left over
        block.write(b"\1" * (64 << 20))
        after = describe("cpu")
    assert after.memory_used - before.memory_used > (64 << 20) // 2
    assert 0 < after.memory_used < after.memory_total


def test_the_cpu_has_a_name_and_a_number_of_cores():
    info = describe("cpu")
    assert info.device == "cpu" and info.name.endswith(f"({os.cpu_count()} cores)")
    assert len(info.name) > len(f" ({os.cpu_count()} cores)")


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc/cpuinfo")
def test_bfloat16_is_fast_on_a_cpu_only_with_the_instructions_for_it(monkeypatch):
    monkeypatch.delenv("CNNVIZ_CPU", raising=False)
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = {flag for line in file if line.startswith("flags") for flag in line.split()}
    assert fast_bfloat16("cpu") == bool(flags & {"amx_bf16", "avx512_bf16"})


@pytest.mark.gpu
def test_a_gpu_is_described_by_name_and_memory():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    info = describe("cuda:0")
    assert info.name == torch.cuda.get_device_name(0)
    assert 0 < info.memory_used <= info.memory_total
    assert choose("cuda") == torch.device("cuda:0") == choose("auto")


def test_float64_is_made_on_the_cpu_for_the_one_device_that_has_none():
    class OnMps:  # what is asked of a tensor there; no such device is here
        device = torch.device("mps")

        def cpu(self) -> torch.Tensor:
            return torch.tensor([0.5])

        def double(self) -> torch.Tensor:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    assert doubled(OnMps()).dtype == torch.float64
    assert doubled(torch.tensor([0.5])).tolist() == [0.5] and doubled(torch.tensor([0.5])).dtype == torch.float64


def test_exact_float32_switches_tf32_off_for_convolutions_and_products():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        exact_float32()
        assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
