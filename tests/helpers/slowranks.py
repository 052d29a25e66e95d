"""One rank of an index run that takes its time: slowranks.py OUT THREADS SECONDS_PER_IMAGE."""

import sys
from pathlib import Path

import torch
from slowindex import SlowCorpus, branching, memory, noise

from cnnviz.errors import CnnvizError
from cnnviz.index.distributed import index_on_ranks
from cnnviz.index.search import run as search_run

if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    SlowCorpus.seconds = float(sys.argv[3])
    search_run.FIRST_SAVE = search_run.SAVE_EVERY = 0.0
    try:
        index = index_on_ranks(
            branching(),
            memory(noise(60)),
            ["a", "relu", "b", "c"],
            k=3,
            out=Path(sys.argv[1]),
            batch=4,
            progress=lambda state: print(f"done {state.done} of {state.total}"),
        )
    except CnnvizError as error:
        sys.exit(f"cnnviz: {error}")
    print("index" if index else "no index", flush=True)
