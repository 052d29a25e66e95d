"""Where tensors live: CUDA, Apple MPS or the CPU, chosen automatically; every result returns as NumPy."""

from __future__ import annotations

import gc
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from cnnviz.errors import BadInput, DeviceLost

if TYPE_CHECKING:
    import torch

Found = TypeVar("Found")
CPU_VARIABLE = "CNNVIZ_CPU"  # "avx2": do only what a processor with no more than that can
_SHORT = ("out of memory", "not enough memory", "allocate memory")  # CUDA and MPS; the CPU's allocator has the others


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a person wants to know of a device. Memory in bytes; for the CPU, of this process."""

    device: str
    name: str
    memory_used: int
    memory_total: int


def available() -> list[str]:
    """Devices this machine can compute on, best first, e.g. ["cuda:0", "cpu"]."""
    import torch

    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def choose(device: str = "auto") -> torch.device:
    """The device for a request: "auto" (the best there is), "cpu", "cuda", "cuda:1", "mps".

    Raises BadInput if this machine has no such device."""
    import torch

    here = available()
    wanted = here[0] if device == "auto" else ("cuda:0" if device == "cuda" else device)
    if wanted not in here:
        raise BadInput(f"Device {device!r} is not available here. Available: auto, {', '.join(here)}.")
    return torch.device(wanted)


def describe(device: str) -> DeviceInfo:
    """Name and memory of a device, read now."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return DeviceInfo(device, torch.cuda.get_device_name(device), total - free, total)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    if kind == "mps":
        return DeviceInfo(device, "Apple GPU", torch.mps.driver_allocated_memory(), total)
    return DeviceInfo(device, _cpu_name(), _resident_bytes(), total)


@cache
def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model} ({os.cpu_count()} cores)"


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="utf-8") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def fast_bfloat16(device: str) -> bool:
    """True where bfloat16 autocast with channels_last is faster than float32.

    GPUs of compute capability 8 and newer; CPUs with AMX or AVX-512 bfloat16, unless CNNVIZ_CPU is "avx2". On other
    CPUs a convolution in bfloat16 takes about six times as long as in float32."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return kind == "cpu" and not _acts_as_avx2() and _has_bfloat16_instructions()


def fuses_bfloat16() -> bool:
    """True where oneDNN's fused convolutions (`torch.ops.mkldnn`) take bfloat16 on this CPU: elsewhere they raise,
    while `F.conv2d` still computes, slowly. Found by calling one; False if CNNVIZ_CPU is "avx2"."""
    return not _acts_as_avx2() and _fuses_bfloat16()


def usable_precision(asked: str, device: str) -> str:
    """The precision that serves a request on this device: "float32" for "bfloat16" on a CPU without fast bfloat16,
    where float32 is more exact and faster; anything else as it was `asked`."""
    slow = asked == "bfloat16" and device.startswith("cpu") and not fast_bfloat16(device)
    return "float32" if slow else asked


def precision_meta(asked: str, used: str) -> dict[str, str]:
    """What a result's metadata say of its precision: the one in use, and "precision_asked" where that was bfloat16
    and this processor computed in float32 instead."""
    return {"precision": used} | ({"precision_asked": asked} if (asked, used) == ("bfloat16", "float32") else {})


def describe_precision(meta: Mapping[str, Any]) -> str:
    """The precision of a result in words, e.g. "float32 (not bfloat16, which is slow on that processor)"; "" if its
    metadata name none."""
    used, asked = meta.get("precision"), meta.get("precision_asked")
    if not isinstance(used, str):
        return ""
    return f"{used} (not {asked}, which is slow on that processor)" if asked else used


def _acts_as_avx2() -> bool:
    """Whether CNNVIZ_CPU has the library do only what a CPU with AVX2 and nothing beyond can.

    Raises BadInput for another value than "avx2"."""
    wanted = os.environ.get(CPU_VARIABLE, "").strip().lower()
    if wanted not in ("", "avx2"):
        raise BadInput(f'{CPU_VARIABLE} must be "avx2", or not set, got {wanted!r}.')
    return wanted == "avx2"


@cache
def _has_bfloat16_instructions() -> bool:
    import torch

    checks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    found = [check() for check in checks if check is not None]
    if len(found) == len(checks):
        return any(found)
    try:  # PyTorch may rename what begins with an underscore
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line.split() for line in file if line.startswith("flags")), [])
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


@cache
def _fuses_bfloat16() -> bool:
    import torch

    if not torch.backends.mkldnn.is_available():
        return False
    tensors = (torch.zeros(shape, dtype=torch.bfloat16) for shape in ((1, 1, 2, 2), (1, 1, 1, 1)))
    try:
        torch.ops.mkldnn._convolution_pointwise(*tensors, None, [0, 0], [1, 1], [1, 1], 1, "relu", [], "")
    except (RuntimeError, AttributeError):  # of the processor, or of a PyTorch without oneDNN
        return False
    return True


def doubled(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` as float64: on its own device, or on the CPU if that is Apple's MPS, which has no float64."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def exact_float32() -> None:
    """Have CUDA compute float32 in float32, in this whole process: by default cuDNN's convolutions round their inputs
    to TF32, 10 bits, which no search for the largest value may call exact. Called when a model is placed on CUDA;
    bfloat16 is not touched. Who wants TF32 back sets `torch.backends.cudnn.allow_tf32` afterwards."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def use_one_core() -> None:
    """Have the calling thread compute with one core from now on, and threads that begin later as before."""
    import torch

    count = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.get_num_threads()
    if count > 1:  # of another thread, since what this one says holds for itself, too
        other = threading.Thread(target=torch.set_num_threads, args=(count,), name="cores")
        other.start()
        other.join()


@contextmanager
def on_one_core(wanted: bool = True) -> Iterator[None]:
    """Inside, the calling thread computes with one core if that is `wanted`: operations on small tensors end sooner so,
    above all where other programs keep the cores busy, since each waits for the slowest of its threads."""
    import torch

    count = torch.get_num_threads()
    if not wanted or count == 1:
        yield
        return
    use_one_core()
    try:
        yield
    finally:
        torch.set_num_threads(count)


def out_of_memory(error: BaseException) -> bool:
    """True if `error` says that memory is short: of an accelerator, or of the computer itself."""
    if isinstance(error, MemoryError):  # NumPy's, too
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _SHORT)


def release(device: str | torch.device = "cpu") -> None:
    """Give back what nobody holds any more. Call outside the except block: its traceback holds tensors."""
    gc.collect()
    kind = str(device).partition(":")[0]
    if kind in ("cuda", "mps"):
        import torch

        try:
            torch.get_device_module(kind).empty_cache()
        except RuntimeError:
            pass  # the device is gone: there is nothing to empty


def halving(run: Callable[[int], Found], size: int, device: str | torch.device, what: str = "images") -> Found:
    """`run(size)`; where memory is short, again with half as many `what` at once, down to one.

    `run` starts from the beginning each time, and what it returns must not depend on the size. Raises DeviceLost
    if there is no room even for one; other errors pass."""
    while True:
        try:
            return run(size)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = (str(error).splitlines() or [""])[0][:160]
        release(device)  # outside the except block, see there
        if size <= 1:
            raise DeviceLost(
                f"{device} is out of memory, even with one of the {what} at a time ({reason}). Close other programs "
                "that use it, or choose a smaller network, smaller images or another device."
            )
        size = max(1, size // 2)
