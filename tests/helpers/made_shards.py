"""WebDataset shards as the webdataset package writes them."""

import io
import tarfile

import numpy as np
import webdataset
from PIL import Image


def shard(path, samples):
    """Write samples {key, extension: value} with webdataset's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(path)) as writer:
        for key, parts in samples.items():
            writer.write({"__key__": key, **parts})
    return path


def plain(path, members, form=tarfile.PAX_FORMAT):
    """Write (name or TarInfo, bytes) pairs with tarfile."""
    with tarfile.open(path, "w", format=form) as content:
        for name, data in members:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if member.isreg():
                member.size = len(data)
            content.addfile(member, io.BytesIO(data))
    return path


def jpeg(seed, side=16):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()
