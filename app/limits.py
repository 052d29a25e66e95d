"""Every bound of the app in one place: what it keeps, what it computes at once, what one person may take.

A laptop with one user and a server with a class of forty share these numbers; app/access.py tells which it is."""

from __future__ import annotations

import os

from app import access

MIB, GIB = 1 << 20, 1 << 30

# --- kept in memory -------------------------------------------------------------------------------------
MODELS = 8  # networks, twins and moved copies among them; the least recently used goes first
WEIGHTS_SHARE = {"cpu": 0.25, "cuda": 0.5, "mps": 0.35}  # of a device's memory that their tensors may take
LARGE_NETWORK = 256 * MIB  # of tensors; students of a class open a larger one only if they may start long work
HEAVY_NETWORK = 64 * MIB  # of tensors; of larger ones one is loaded at a time
PICTURES = 256 * MIB  # finished pictures
MAPS = 384 * MIB  # feature maps, and what networks receive
RESULTS = 256 * MIB  # results of studies that took more than a moment
ENTRIES = 4096  # of each of these three, however small
RUN_READERS = 48  # recorded trainings whose lines stay parsed while they are followed

# --- computed at once -----------------------------------------------------------------------------------
LONG, SHORT = "long", "short"  # long: indexes, landscapes, what a button starts; short: what a view begins by itself
TRAIN, TRAININGS = "train", 4  # trainings of small networks beside each other, a core each
FETCH, DOWNLOADS = "fetch", 2  # downloads wait for no computation; so many share the connection
ENDED = 64  # jobs that are remembered after their end, with what went wrong in them

# --- taken in -------------------------------------------------------------------------------------------
PHOTO_MB = 64  # of one uploaded photograph
IMAGES_AT_ONCE = 512 * MIB  # of several images uploaded for a search; a zip is read from the disk
STORED_PHOTOS, STORED_ZIPS = 200, 8  # files; the oldest goes first
STORED_WEIGHTS = 32 * GIB  # of all weights files together
STORED_INPUTS, STORED_WALLS = 1000, 40  # files of preferred inputs: of single channels, of whole layers
OWN_FILES = 4  # weights files that one person may keep on a shared server
OWN_BYTES = 1280 * MIB  # of all that one person keeps there: two files of VGG-16, and photographs


def at_once(lane: str) -> int:
    """How many jobs of a lane run at the same time: more would only slow one another down.

    $CNNVIZ_JOBS overrides the number of long ones."""
    if lane in (FETCH, TRAIN):
        return DOWNLOADS if lane == FETCH else TRAININGS
    own = os.environ.get("CNNVIZ_JOBS", "")
    if lane == LONG and own.isascii() and own.isdigit() and 0 < int(own) <= 64:
        return int(own)
    cores = os.cpu_count() or 1
    return min(4, max(2, cores // 4)) if lane == LONG else min(8, max(2, cores // 2))


def each(lane: str) -> int:
    """How many of them one person has running: on a shared server a long one, so that others have their turn."""
    return 1 if lane == LONG and access.is_shared() else at_once(lane)


def waiting() -> int:
    """How many jobs one person may have, running and queued."""
    return 6 if access.is_shared() else 40


def zip_mb() -> int:
    """MB of an uploaded zip of images, or of an index file."""
    return 256 if access.is_shared() else 1024


def weights_mb() -> int:
    """MB of a weights file that this session may upload; VGG-16 has 528. A student's is no larger than the networks
    that students open by themselves, unless they may start long work."""
    return _most_weights_mb() if access.may_start() else min(_most_weights_mb(), LARGE_NETWORK // MIB)


def _most_weights_mb() -> int:
    return 600 if access.is_shared() else 1024


def upload_mb() -> int:
    """MB of the largest file that is taken anywhere."""
    return max(PHOTO_MB, zip_mb(), _most_weights_mb())


def uploads_each() -> int:
    """Bytes of files that one tab may have in the server's memory, where they are until the tab is closed."""
    return 1 * GIB if access.is_shared() else uploads_in_all()


def uploads_in_all() -> int:
    """Bytes of files that all tabs together may have there: an eighth of the memory, at least the largest file."""
    from cnnviz.device import describe

    return max(upload_mb() * MIB, describe("cpu").memory_total // 8)


def weights_room(device: str) -> int:
    """Bytes that the tensors of all networks together may take on a device."""
    from cnnviz.device import describe

    return int(describe(device).memory_total * WEIGHTS_SHARE[device.split(":")[0]])
