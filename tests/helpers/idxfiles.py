"""Arrays in the IDX format of MNIST's files."""

import struct

import numpy as np


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()
