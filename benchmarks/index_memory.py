"""Peak memory of a process that indexes few images against one that indexes many.

The corpus is the photographs of $CNNVIZ_BENCH_IMAGES (else the samples), over and over. SqueezeNet 1.0, all 26
convolutions, $CNNVIZ_BENCH_FEW (1000) and $CNNVIZ_BENCH_MANY (20000) images, $CNNVIZ_BENCH_PRECISION (float32),
$CNNVIZ_BENCH_BATCH (8) images a pass: each process would choose by its own measurement, and more need more memory."""

import os
import resource
import subprocess
import sys
import time

import cnnviz
from cnnviz.data.corpus import Subset
from cnnviz.heap import keep_freed_memory
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo.download import cache_path, find_weights

FEW, MANY = int(os.environ.get("CNNVIZ_BENCH_FEW", 1000)), int(os.environ.get("CNNVIZ_BENCH_MANY", 20000))
PRECISION = os.environ.get("CNNVIZ_BENCH_PRECISION", "float32")
BATCH = int(os.environ.get("CNNVIZ_BENCH_BATCH", 8))


def main() -> None:
    """Print both peaks and their ratio."""
    peaks = {}
    for count in (FEW, MANY):
        command = [sys.executable, "-m", "benchmarks.index_memory", str(count)]
        peak, rate = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:]
        peaks[count] = int(peak)
        print(
            f"{count:7,} images, {PRECISION}: peak {int(peak) / 1024:7.0f} MiB, {float(rate):.1f} images/s", flush=True
        )
    print(f"ratio {peaks[MANY] / peaks[FEW]:.3f}    (wanted: at most 1.05)")


def index_in_child(count: int) -> None:
    """Index `count` images; print this process's peak, KiB, and images a second."""
    keep_freed_memory()  # as `cnnviz index` does
    here = cache_path(find_weights(find("squeezenet1_0")).url).is_file()
    model = cnnviz.load("squeezenet1_0", "pretrained" if here else "random", "cpu")
    photographs = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"))
    corpus = Subset(photographs, [i % len(photographs) for i in range(count)])
    started = time.perf_counter()
    cnnviz.index_patches(model, corpus, model.layers("conv"), precision=PRECISION, batch=BATCH)
    seconds = time.perf_counter() - started
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, count / seconds)


if __name__ == "__main__":
    index_in_child(int(sys.argv[1])) if len(sys.argv) > 1 else main()
