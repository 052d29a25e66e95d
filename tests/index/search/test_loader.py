"""Who decodes the images of a long pass: worker processes only where they would not run the user's script again."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
import torch
from nets import tiny
from slowindex import memory, noise
from torch import nn

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import CnnvizError
from cnnviz.index.search import loader
from cnnviz.index.search.loader import feed, may_start_processes
from cnnviz.models.model import LoadedModel

BARE = "import cnnviz\ncnnviz.index_patches(...)\nif 1 > 2:\n    pass\n"
GUARDED = 'import cnnviz\nif __name__ == "__main__":\n    cnnviz.index_patches(...)\n'
OTHER_WAY = 'def main(): ...\nif "__mp_main__" != __name__ and True:\n    main()\n'


@pytest.fixture
def main_module(monkeypatch, tmp_path):
    """Put another main module in place: its text, and the name that `python -m` found it by."""

    def place(text: str | None, spec: str | None = None) -> None:
        main = ModuleType("__main__")
        if text is not None:
            (tmp_path / "script.py").write_text(text)
            main.__file__ = str(tmp_path / "script.py")
        main.__spec__ = None if spec is None else ModuleSpec(spec, None)
        monkeypatch.setitem(sys.modules, "__main__", main)

    return place


@pytest.mark.parametrize(
    "text, spec, may",
    [
        (BARE, None, False),
        (GUARDED, None, True),
        (OTHER_WAY, None, True),
        (None, None, True),
        (BARE, "package.__main__", True),
        (BARE, "package.script", False),
        ("if", None, False),
    ],
    ids=["bare", "guarded", "other way", "notebook", "package", "module", "unreadable"],
)
def test_processes_start_only_where_the_main_module_can_be_imported_without_harm(main_module, text, spec, may):
    main_module(text, spec)
    assert may_start_processes() is may


def test_beside_an_accelerator_a_script_without_a_guard_decodes_in_its_own_process_and_says_why(main_module):
    main_module(BARE)
    model = LoadedModel(nn.Conv2d(3, 2, 3), "away", Preprocessing((12, 12)), ["a"], torch.device("meta"))
    pixels = noise(5)
    with pytest.warns(UserWarning, match=r'script\.py does below `if __name__ == "__main__":`'):
        batches = list(feed(model, memory(pixels), [(0, 3), (3, 5)]))
    assert [batch.positions for batch in batches] == [[0, 1, 2], [3, 4]]
    np.testing.assert_array_equal(np.concatenate([batch.pixels.numpy() for batch in batches]), pixels)


@pytest.mark.parametrize("batch", [1, 3, 7, 40])
@pytest.mark.parametrize("most", [1, 5, 256])
def test_batches_come_whole_and_in_order_and_say_what_could_not_be_read(batch, most, monkeypatch):
    """However many are decoded together, and by how many threads each."""
    monkeypatch.setattr(loader, "CHUNK", most)
    pixels, spans = noise(75), [(at, min(at + batch, 75)) for at in range(0, 75, batch)]
    damaged = {0, 8, 9, 10, 11, 12, 13, 14, 41, 74}
    items = [b"no image" if i in damaged else image for i, image in enumerate(pixels)]
    corpus = MemoryCorpus("some", [str(i) for i in range(75)], items)
    found = list(feed(tiny(nn.Conv2d(3, 2, 3), (12, 12)), corpus, spans))
    assert [one.end for one in found] == [high for _, high in spans]
    for (low, high), one in zip(spans, found, strict=True):
        assert one.positions == [i for i in range(low, high) if i not in damaged]
        assert [at for at, _ in one.faults] == [i for i in range(low, high) if i in damaged]
        assert (one.pixels is None) == (not one.positions)
        if one.positions:
            np.testing.assert_array_equal(one.pixels.numpy(), pixels[one.positions])


def test_workers_that_cannot_start_are_told_with_the_guard_that_a_script_needs(main_module):
    main_module("raise SystemExit(3)\n")  # as a script without a guard ends in a process that must not start others
    model = tiny(nn.Conv2d(3, 2, 3), (12, 12))
    with pytest.raises(CnnvizError, match=r'below `if __name__ == "__main__":`, or workers=0'):
        list(feed(model, memory(noise(3)), [(0, 3)], workers=1))
