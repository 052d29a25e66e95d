"""Small pictures, folders and archives that tests of corpora read."""

import zipfile
from io import BytesIO

import numpy as np
from PIL import Image


def picture(seed, side=6):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def png(seed, side=6):
    file = BytesIO()
    Image.fromarray(picture(seed, side)).save(file, "PNG")
    return file.getvalue()


def tree(root, paths):
    for seed, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(png(seed))
    return root


def archive(path, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return path


def pixels(found, index):
    return np.asarray(found.image(index))
