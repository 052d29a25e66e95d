"""Results on disk: what was saved comes back, and a failure leaves the old file."""

import os
import resource
import threading

import numpy as np
import pytest

from cnnviz.errors import BadInput, CnnvizError
from cnnviz.store import atomic, load_arrays, read_json, save_arrays, shorten_file_name, write_bytes_atomic, write_json


def test_arrays_and_meta_come_back_with_their_types(tmp_path):
    arrays = {
        "values": np.arange(6, dtype=np.float16).reshape(2, 3),
        "file": np.array([True, False]),  # a name that np.savez cannot take
        "layer1.0/conv": np.array(["a", "bé"]),
        "empty": np.zeros((0, 4), np.int64),
        "scalar": np.float64(2.5),
    }
    save_arrays(tmp_path / "r.npz", arrays, {"k": 9, "names": ["ä"], "seed": np.int64(3)})
    back, meta = load_arrays(tmp_path / "r.npz")
    assert meta == {"k": 9, "names": ["ä"], "seed": 3}
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_numpy_alone_opens_the_file(tmp_path):
    save_arrays(tmp_path / "r.npz", {"a": np.arange(3)}, {})
    with np.load(tmp_path / "r.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["a"], [0, 1, 2])


def test_arrays_of_objects_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(BadInput, match="'a'"):
        save_arrays(tmp_path / "r.npz", {"a": np.array([{}])}, {})
    assert not list(tmp_path.iterdir())


def test_a_pickled_array_is_not_loaded(tmp_path):
    np.savez(tmp_path / "r.npz", a=np.array([{}], dtype=object))
    with pytest.raises(BadInput, match="compute again"):
        load_arrays(tmp_path / "r.npz")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_damaged_results_say_what_to_do(tmp_path, content):
    (tmp_path / "r.npz").write_bytes(content)
    with pytest.raises(BadInput, match="Delete it and compute again"):
        load_arrays(tmp_path / "r.npz")


def test_a_truncated_result_is_refused(tmp_path):
    save_arrays(tmp_path / "r.npz", {"a": np.arange(1000)}, {})
    whole = (tmp_path / "r.npz").read_bytes()
    (tmp_path / "r.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput):
        load_arrays(tmp_path / "r.npz")


def test_a_missing_result_is_named(tmp_path):
    with pytest.raises(BadInput, match="gone.npz"):
        load_arrays(tmp_path / "gone.npz")


def test_json_comes_back_with_numpy_values_as_plain_ones(tmp_path):
    write_json(tmp_path / "a.json", {"x": np.float32(0.5), "y": np.arange(2), "z": "é"})
    assert read_json(tmp_path / "a.json") == {"x": 0.5, "y": [0, 1], "z": "é"}


def test_json_of_odd_values_is_refused_and_the_old_file_stays(tmp_path):
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(BadInput, match="set"):
        write_json(tmp_path / "a.json", {1, 2})
    assert read_json(tmp_path / "a.json") == [1]


def test_broken_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(BadInput, match="a.json"):
        read_json(tmp_path / "a.json")


def test_an_exception_while_writing_leaves_the_old_file_and_no_draft(tmp_path):
    write_bytes_atomic(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "a") as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_no_room_leaves_the_old_file_and_says_so(tmp_path):
    write_bytes_atomic(tmp_path / "a", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))  # the system refuses larger files
    try:
        with pytest.raises(CnnvizError, match="unchanged"):
            write_bytes_atomic(tmp_path / "a", b"x" * (1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_folders_are_made_and_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes_atomic(tmp_path / "new" / "deep" / "a", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "deep" / "a").stat().st_mode & 0o777 == 0o640


def test_readers_never_see_half_a_file(tmp_path):
    target, seen = tmp_path / "a", set()
    write_bytes_atomic(target, b"0" * 200_000)
    done = threading.Event()

    def read():
        while not done.is_set():
            content = target.read_bytes()
            seen.add((len(content), len(set(content))))

    reader = threading.Thread(target=read)
    reader.start()
    for digit in b"123456789" * 3:
        write_bytes_atomic(target, bytes([digit]) * 200_000)
    done.set()
    reader.join()
    assert seen == {(200_000, 1)}


def test_long_file_names_are_shortened_told_apart_and_keep_their_ending():
    long, other = "chain:3x32x32-" + "conv4k3-" * 40 + "a.csv", "chain:3x32x32-" + "conv4k3-" * 41 + "a.csv"
    assert shorten_file_name("resnet18-graph.svg") == "resnet18-graph.svg"
    assert len(shorten_file_name(long)) == 100 and shorten_file_name(long).endswith("a.csv")
    assert shorten_file_name(long) != shorten_file_name(other)
