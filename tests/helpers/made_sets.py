"""Tiny data sets in the published formats, made up for tests."""

import io
import struct
import tarfile

import numpy as np
from PIL import Image


def idx(values):
    shape = values.shape
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + values.tobytes()


def digits(count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), rng.integers(0, 10, count, dtype=np.uint8)


def mnist_files():
    files = {}
    for prefix, count, seed in (("train", 5, 0), ("t10k", 3, 1)):
        images, labels = digits(count, seed)
        files |= {f"{prefix}-images-idx3-ubyte": idx(images), f"{prefix}-labels-idx1-ubyte": idx(labels)}
    return files


def python2_batch(rows, labels):
    """A batch as Python 2 pickled it, opcode by opcode, like those in the published archive."""
    raw = rows.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09U\x01b\x87Rq\n(K\x01"
    array += b"J" + struct.pack("<i", len(rows)) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x0bU\x02u1K\x00K\x01\x87Rq\x0c"
    array += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(raw)) + raw
    answers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x0bbatch_labelU\x06a testU\x06labels" + answers + b"U\x04data" + array + b"tbu."


def cifar(count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8), rng.integers(0, 10, count).tolist()


def cifar_files():
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return {f"cifar-10-batches-py/{name}": python2_batch(*cifar(2, i)) for i, name in enumerate(names)}


def imagenette_files():
    def jpeg(shade):
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (shade,) * 3).save(file, "JPEG")
        return file.getvalue()

    paths = ["train/n01440764/b.JPEG", "train/n03888257/a.JPEG", "val/n03000684/c.JPEG"]
    return {f"imagenette2-160/{path}": jpeg(80 * i) for i, path in enumerate(paths)}


FLOWERS = {  # split: numbers of its images, and the kind of each image from 1 on
    "trnid": [3, 1],
    "valid": [2, 6],
    "tstid": [5, 4],
    "labels": [1, 102, 2, 2, 54, 1],
}


def flowers_files():
    """{name of a file on the server: contents}: the archive of images, and the two tables."""
    from scipy.io import savemat

    def picture(number):
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (40 * number,) * 3).save(file, "JPEG")
        return file.getvalue()

    def table(*names):
        file = io.BytesIO()
        savemat(file, {name: np.array([FLOWERS[name]], np.uint16) for name in names}, do_compression=True)
        return file.getvalue()

    images = {f"jpg/image_{number:05d}.jpg": picture(number) for number in range(1, 7)}
    return {
        "102flowers.tgz": tar(images),
        "imagelabels.mat": table("labels"),
        "setid.mat": table("trnid", "valid", "tstid"),
    }


def tar(files):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as content:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            content.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo(f"{next(iter(files)).split('/')[0]}/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        content.addfile(link)
        for outside in ("../escaped", "elsewhere/file", f"{next(iter(files)).split('/')[0]}/../../escaped"):
            member = tarfile.TarInfo(outside)
            member.size = 3
            content.addfile(member, io.BytesIO(b"out"))
    return target.getvalue()
