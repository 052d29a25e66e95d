"""MNIST's IDX files: read as stored, and refused when damaged."""

import gzip
import struct

import numpy as np
import pytest
from idxfiles import idx

from cnnviz.data.idx import read_idx
from cnnviz.errors import BadInput


def test_idx_files_may_be_gzipped_and_of_any_rank(tmp_path):
    for shape in ((5,), (2, 3), (2, 3, 4)):
        values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        (tmp_path / "x.gz").write_bytes(gzip.compress(idx(values)))
        (tmp_path / "x").write_bytes(idx(values))
        np.testing.assert_array_equal(read_idx(tmp_path / "x.gz"), values)
        np.testing.assert_array_equal(read_idx(tmp_path / "x"), values)


HUGE = struct.pack(">HBB4I", 0, 8, 4, *([1 << 16] * 4))  # 2**64 bytes, which wrap to 0 in 64 bits


@pytest.mark.parametrize(
    "data, said",
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\0\0\x0d\x01\0\0\0\0", "not an IDX file"),
        (b"\0\0\x08\x03\0\0\0\x02\0\0", "ends within its header"),
        (idx(np.zeros(4, np.uint8))[:-1], "holds 3 bytes"),
        (idx(np.zeros(4, np.uint8)) + b"!", "holds 5 bytes"),
        (HUGE, "holds 0 bytes"),
    ],
)
def test_a_damaged_idx_file_is_bad_input_that_says_why(tmp_path, data, said):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadInput, match=said):
        read_idx(tmp_path / "x")


@pytest.mark.parametrize("damage", [lambda z: z[:-9], lambda z: b"no gzip", lambda z: z[:12] + b"\xff" * 8 + z[20:]])
def test_a_damaged_gzip_is_bad_input(tmp_path, damage):
    (tmp_path / "x.gz").write_bytes(damage(gzip.compress(idx(np.arange(200, dtype=np.uint8)))))
    with pytest.raises(BadInput, match="x.gz is damaged"):
        read_idx(tmp_path / "x.gz")
