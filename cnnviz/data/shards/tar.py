"""Offsets of the files in a tar archive, read from its headers; damage is skipped to the next sound header.

Source: POSIX.1-2001 (pax) and GNU tar; blocks of 512 bytes, a header before each file."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cnnviz.wording import plural

BLOCK = 512
MAX_HEADER = 1 << 20  # bytes of a long name or of pax records
_SCAN = 1 << 20  # bytes read at once while looking for the next header
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"x", b"g"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: `name`; `offset` and `size` of its contents in bytes; `fault`: why there is nothing to read."""

    name: str
    offset: int
    size: int
    fault: str = ""


def members(file: BinaryIO, total: int) -> Iterator[Member]:
    """The files of an open, uncompressed tar of `total` bytes, in order; folders are passed over.

    Damage is a Member of empty name whose `fault` describes it; what follows the next sound header is found."""
    at, long_name, long_size, reported = 0, "", -1, False
    while at + BLOCK <= total:
        header, fault = _read_header(file, at)
        if header is None:
            found = _find_next_header(file, at + BLOCK, total)
            if not fault and found >= total:  # zeros and nothing behind them: the end, as it should be
                return
            yield Member("", at, 0, f"{fault or 'Zeros'} at byte {at:,}; {_describe_gap(at, found, total)}")
            at, long_name, long_size, reported = found, "", -1, found >= total
            continue
        start, size = at + BLOCK, max(header.size, 0)
        if header.type in (_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL):
            if header.type in (_LONG_NAME, _PAX):
                name, records_size = _read_extended(file, start, size, header.type)
                long_name, long_size = name or long_name, records_size if records_size >= 0 else long_size
        else:
            size = long_size if long_size >= 0 else size
            if header.type not in (*_PLAIN, tarfile.GNUTYPE_SPARSE):  # links and devices have no contents
                size = 0
            if header.type != tarfile.DIRTYPE:
                yield Member(long_name or header.name, start, size, _find_fault(header.type, start + size, total))
                reported = start + size > total
            long_name, long_size = "", -1
        at = start + -(-size // BLOCK) * BLOCK
    if not reported:
        yield Member(
            "", min(at, total), 0, f"The archive stops after {plural(total, 'byte')} without an end: it was cut."
        )


def is_tar(head: bytes) -> bool:
    """True if these first bytes are those of a tar file."""
    try:
        tarfile.TarInfo.frombuf(head[:BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _read_header(file: BinaryIO, at: int) -> tuple[tarfile.TarInfo | None, str]:
    """(the header at a byte, ""); (None, "") for zeros or the end; (None, fault) for damage."""
    file.seek(at)
    block = file.read(BLOCK)
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape"), ""
    except (tarfile.EmptyHeaderError, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
        return None, ""
    except tarfile.HeaderError:
        return None, "Damaged header"


def _read_extended(file: BinaryIO, start: int, size: int, kind: bytes) -> tuple[str, int]:
    """(name, size) that a GNU or pax header gives to the next file; "" and -1 where it gives none."""
    if size > MAX_HEADER:
        return "", -1
    file.seek(start)
    data = file.read(size)
    if kind == _LONG_NAME:
        return data.rstrip(b"\0").decode("utf-8", "surrogateescape"), -1
    records = dict(_read_records(data))
    length = records.get(b"size", b"")
    return records.get(b"path", b"").decode("utf-8", "surrogateescape"), int(length) if length.isdigit() else -1


def _read_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of pax: "LENGTH KEY=VALUE\\n", the length counting all of it."""
    at = 0
    while (found := re.match(rb"(\d{1,7}) ([^=]+)=", data[at : at + 300])) and int(found[1]) > len(found[0]):
        end = at + int(found[1])
        yield found[2], data[at + len(found[0]) : end - 1]
        at = end


def _find_fault(kind: bytes, end: int, total: int) -> str:
    if kind == tarfile.GNUTYPE_SPARSE:
        return "A sparse file. Pack it again without --sparse."
    if kind not in _PLAIN:
        return "A link or device, not a file. Pack it again with --dereference."
    return "The archive ends within this file. Copy or download it again." if end > total else ""


def _find_next_header(file: BinaryIO, at: int, total: int) -> int:
    """The first byte from `at` on where a sound header stands on a block's border, or `total`."""
    while at < total:
        file.seek(at)
        data = file.read(_SCAN)
        for place in range(0, len(data) - BLOCK + 1, BLOCK):
            if data[place + 257 : place + 262] == b"ustar" and is_tar(data[place : place + BLOCK]):
                return at + place
        at += _SCAN
    return total


def _describe_gap(at: int, found: int, total: int) -> str:
    left = "nothing after it can be read" if found >= total else f"{plural(found - at, 'byte')} were passed over"
    return f"{left}. Copy or download the archive again."
