"""Freed memory stays with the process: pages are cleared once, not at every allocation."""

import subprocess
import sys

import pytest

# Prints the page faults of ten tensors of 48 MiB, one after the other, once twenty have found their places.
FAULTS = """
import resource, sys, torch
from cnnviz.heap import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    print(-1); sys.exit()
for count in range(30):
    if count == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    maps = torch.ones(12 << 20)
    del maps
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way: str) -> int:
    run = subprocess.run([sys.executable, "-c", FAULTS, way], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_a_block_that_is_used_again_is_not_cleared_again():
    kept = faults("kept")
    if kept < 0:
        pytest.skip("the C library is not glibc")
    assert kept < faults("given back") / 5
