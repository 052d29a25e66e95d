"""Twenty faulty files among a thousand: reported, and the index is that of the others alone."""

import io
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from slowindex import branching, noise

from cnnviz.data.open import corpus
from cnnviz.index.search.build import index_patches

LAYERS = ["a", "relu", "b", "c"]


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def bomb():
    """A PNG of a few bytes that says it has 400 million pixels."""
    parts = {b"IHDR": struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0), b"IDAT": zlib.compress(bytes(1000))}
    chunks = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def spoil(path, kind):
    """Make a file faulty in one of five ways."""
    whole = path.read_bytes()
    path.unlink()
    if kind == "unreadable":  # permissions do not bind the superuser, who often runs tests
        path.symlink_to(path.with_name("nowhere"))
    else:
        contents = {"truncated": whole[: len(whole) // 2], "zero bytes": b"", "text": b"not a picture", "bomb": bomb()}
        path.write_bytes(contents[kind])


REASONS = {
    "unreadable": "does not exist",
    "truncated": "damaged or incomplete",
    "zero bytes": "is empty (0 bytes)",
    "text": "holds text",
    "bomb": "million pixels",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """(1,000 files of which 20 are faulty, the 980 others, {id: what is wrong with it})."""
    root = tmp_path_factory.mktemp("photographs")
    (root / "all").mkdir()
    for number, pixels in enumerate(noise(1000)):
        (root / "all" / f"{number:04d}.png").write_bytes(png(pixels))
    shutil.copytree(root / "all", root / "good")
    places = np.random.default_rng(0).choice(1000, 18, replace=False).tolist()
    places += [number for number in (0, 999, 1, 2) if number not in places][: 20 - len(places)]  # the ends, too
    faulty = dict(zip((f"{number:04d}.png" for number in places), list(REASONS) * 4, strict=True))
    for name, kind in faulty.items():
        spoil(root / "all" / name, kind)
        (root / "good" / name).unlink()
    return root / "all", root / "good", faulty


def assert_same_winners(one, other):
    """Values, units and crops of the same images, whatever their positions are."""
    assert one.layers == other.layers == LAYERS
    for layer in LAYERS:
        mine, theirs = one.tops[layer], other.tops[layer]
        for name in ("values", "rows", "cols", "boxes", "full_boxes"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=f"{layer} {name}")
        for channel in range(one.channels(layer)):
            ids = [[w.image_id for w in index.top(layer, channel)] for index in (one, other)]
            assert ids[0] == ids[1] and len(ids[0]) == 9
        for name in ("maximum", "histogram"):
            found = [getattr(index.statistics[layer], name) for index in (one, other)]
            np.testing.assert_array_equal(*found, err_msg=f"{layer} {name}")


@pytest.mark.parametrize("workers", [0, 2], ids=["in turn", "ahead"])
def test_twenty_faulty_files_among_a_thousand_are_reported_and_change_nothing_else(folders, workers, tmp_path):
    everything, good, faulty = folders
    told = []
    found = index_patches(
        branching(),
        corpus(everything),
        LAYERS,
        out=tmp_path / "index.npz",
        batch=16,
        workers=workers,
        progress=lambda state: told.append(state),
    )
    expected = index_patches(branching(), corpus(good), LAYERS, batch=16)
    assert_same_winners(found, expected)
    assert found.complete and not expected.meta["skipped"]
    skipped = dict(found.meta["skipped"])
    assert sorted(skipped) == sorted(faulty) and len(found.meta["skipped"]) == 20
    for name, kind in faulty.items():
        assert REASONS[kind] in skipped[name], (name, kind)
    assert [state.done for state in told] == [*range(16, 1000, 16), 1000]
    assert {state.total for state in told} == {1000} and told[-1].seconds_left == 0.0
    assert all(state.images_per_second > 0 and np.isfinite(state.seconds_left) for state in told)


def test_a_run_stopped_between_faulty_files_goes_on_and_reports_each_once(folders, tmp_path):
    everything, _good, faulty = folders
    whole = index_patches(branching(), corpus(everything), LAYERS, batch=16)
    out = tmp_path / "index.npz"
    part = index_patches(branching(), corpus(everything), LAYERS, out=out, batch=16, progress=lambda s: s.done < 500)
    assert not part.complete and 0 < len(part.meta["skipped"]) < 20
    resumed = index_patches(branching(), corpus(everything), LAYERS, out=out, batch=16)
    assert_same_winners(resumed, whole)
    assert sorted(map(tuple, resumed.meta["skipped"])) == sorted(map(tuple, whole.meta["skipped"]))
    assert {name for name, _reason in resumed.meta["skipped"]} == set(faulty)


def test_a_file_that_goes_while_the_index_is_made_costs_that_image_alone(folders, tmp_path):
    _everything, good, _faulty = folders
    shutil.copytree(good, tmp_path / "photographs")
    images = corpus(tmp_path / "photographs", limit=100)
    os.unlink(tmp_path / "photographs" / images.ids[70])
    found = index_patches(branching(), images, LAYERS, batch=16)
    assert [name for name, _reason in found.meta["skipped"]] == [images.ids[70]]
