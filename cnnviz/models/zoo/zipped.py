"""Weights files that are published inside a zip: one file is taken out, bounded and checked, nothing else."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from cnnviz.errors import BadInput, CnnvizError
from cnnviz.models.checkpoint.archive import cap_bytes
from cnnviz.store import atomic

_CHUNK = 1 << 20


def unpack(bring: Callable[[Path], object], target: Path, kind: str, digits: str | None) -> None:
    """Have `bring(path)` fetch a zip to `path`, and keep the file in it that has `target`'s name as `target`.

    `kind`, `digits`: its checksum, e.g. ("sha1", "795b0824"), must begin so. `target` appears only when it
    is there whole. Raises BadInput if the zip is damaged, lacks the file or holds another one."""
    folder = _make_folder(target)
    try:
        zipped = folder / f"{target.name}.zip"
        bring(zipped)
        try:
            with zipfile.ZipFile(zipped) as archive:
                _copy(archive, target, kind, digits)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise BadInput(f"The zip of {target.name} is damaged ({error}). Nothing was kept. Try again.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder(target: Path) -> Path:
    """An own folder on the disk that `target` will lie on."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise CnnvizError(f"Could not write to {target.parent}: {error.strerror or error}.") from error


def _copy(archive: zipfile.ZipFile, target: Path, kind: str, digits: str | None) -> None:
    found = [member for member in archive.infolist() if member.filename.rpartition("/")[2] == target.name]
    if not found:
        names = ", ".join(archive.namelist()[:3]) or "nothing"
        raise BadInput(f"The zip holds {names}, and no {target.name}. Nothing was kept.")
    if found[0].file_size > cap_bytes():
        raise BadInput(
            f"{target.name} has {found[0].file_size / 2**20:,.0f} MiB, more than CNNVIZ_MAX_WEIGHTS_MB allows."
        )
    digest = hashlib.new(kind, usedforsecurity=False)
    with archive.open(found[0]) as source, atomic(target) as file:
        while piece := source.read(_CHUNK):
            digest.update(piece)
            file.write(piece)
        if digits and not digest.hexdigest().startswith(digits):
            raise BadInput(
                f"The zip holds another {target.name} than the published one: its {kind} is "
                f"{digest.hexdigest()[:16]}…, expected {digits}…. Nothing was kept."
            )
