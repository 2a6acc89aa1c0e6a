"""The folders that the processes of a service share: whether they can, and what is in them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.processes import Running
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.doctor.service import Service, expected_folder
from otel_accubooks.recorder.health import targets

REFUSED = Kind(
    "state-dir-refused", "wrong",
    "The folder for the counts cannot be made or used: each process counts and sends for itself.",
    "a folder that the application's user owns, and that nobody else may write into",
    "correct owner and rights, or name another place in OTEL_ACCUBOOKS_STATE_DIR, and restart",
)  # fmt: skip
FULL = Kind(
    "state-dir-full", "wrong",
    "There is no room left where the counts are kept.",
    "16 MiB for each process, at most",
    "free some room, or name another place in OTEL_ACCUBOOKS_STATE_DIR (Docker: --shm-size=256m)",
)  # fmt: skip
SMALL = Kind(
    "state-dir-small", "suspicious",
    "There is little room left where the counts are kept.",
    "16 MiB for each process, at most",
    "enlarge it (Docker: --shm-size=256m), or name another place in OTEL_ACCUBOOKS_STATE_DIR",
)  # fmt: skip
NETWORK = Kind(
    "state-dir-on-network", "wrong",
    "The counts are kept on a network file system: they are shared with other hosts, and slow.",
    "a place in the memory of the host, such as /dev/shm",
    "unset OTEL_ACCUBOOKS_STATE_DIR, and restart the application",
)  # fmt: skip
SEVERAL = Kind(
    "service-in-two-folders", "suspicious",
    "Processes of one service use different folders: they do not know of each other.",
    "the same user, OTEL_ACCUBOOKS_STATE_DIR, OTEL_RESOURCE_ATTRIBUTES, endpoint and headers in web "
    "and worker, and one place (not PrivateTmp, or a container each) for the folder",
    "give all processes of the service the same settings, and restart them",
)  # fmt: skip
UNREADABLE = Kind(
    "state-not-readable", "suspicious",
    "The counts of a service may not be read from here.",
    "the doctor runs as the user of the application, or as root",
    "run the doctor as the application's user, or as root",
)  # fmt: skip
DAMAGED = Kind(
    "segment-refused", "suspicious",
    "A file with counts is damaged, or of another version of otel-accubooks, and is left out.",
    "files of one version",
    "restart all processes of the service with the same version of otel-accubooks",
)  # fmt: skip
SERIES_LIMIT = Kind(
    "series-limit", "wrong",
    "A metric has reached its limit of series: new label values are counted in one overflow series.",
    "few label values: routes as they are declared, no user ids and no URLs",
    "find the label that grows (a route per URL, an id as label), or raise "
    "OTEL_ACCUBOOKS_SERIES_LIMIT, and restart the application",
)  # fmt: skip
UNHEALTHY = Kind(
    "component-unhealthy", "wrong",
    "A database, cache or queue of the application does not answer.",
    "a server that answers within 2 s",
    "start it, or correct its address in the application",
)  # fmt: skip
CLOCK = Kind(
    "clock-stepped", "wrong",
    "A process of the service was started in the future: the clock of this host was set back.",
    "a clock that never jumps",
    "let NTP keep the clock, and restart the application",
)  # fmt: skip
UNSENT = Kind(
    "left-unsent", "note",
    "A service ended before its last counts were sent.",
    "a folder that goes with its service",
    "start the service again: it sends them first; or remove the folder, if it never comes back",
)  # fmt: skip

_LEAST_BYTES = 128 * 1024
_LITTLE_BYTES = 16 * 1024 * 1024
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "afs")
_APART_SECONDS = 5.0


def check(scene: Scene) -> Iterator[Finding]:
    """The place, then what is in it."""
    places: set[str] = set()
    for application in scene.processes.applications:
        for one in application.members:
            folder = expected_folder(one) if one.launched else ""
            if folder and folder not in places:
                places.add(folder)
                yield from _place(one, folder)
    by_name: dict[str, list[str]] = {}
    for service in scene.services:
        if service.name and any(one.folders for one in service.members):
            place = f"{service.named} (pid {service.members[0].pid})"
            by_name.setdefault(service.job, []).append(place)
        yield from _content(service)
    for name, found in by_name.items():
        if len(found) > 1:
            yield SEVERAL.found(f"{name} is in {' and in '.join(sorted(found))}", service=name)


def _place(one: Running, folder: str) -> Iterator[Finding]:
    where = {**one.where(), "file": folder}
    if refusal := refused(one, folder):
        yield REFUSED.found(refusal, **where)
        return
    there = one.seen(folder)
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        room = os.statvfs(there)
    except OSError:
        return
    free, whole = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
    told = f"{free / 2**20:.1f} MiB of {whole / 2**20:.0f} MiB are free in {there}"
    if free < _LEAST_BYTES or (room.f_files and not room.f_favail):
        yield FULL.found(told, **where)
    elif free < _LITTLE_BYTES:
        yield SMALL.found(told, **where)
    kind = _file_system(there)
    if kind in _NETWORK:
        yield NETWORK.found(f"{folder} is on {kind}", **where)


def _file_system(path: Path) -> str:
    mounts = {p.mountpoint: p.fstype for p in psutil.disk_partitions(all=True)}
    return next((mounts[str(p)] for p in (path, *path.parents) if str(p) in mounts), "")


def refused(one: Running, folder: str) -> str:  # noqa: PLR0911 - one for each reason
    """Why the process cannot use `folder`, which is two levels of its own; empty where it can."""
    path = one.seen(folder)
    for place, above in ((path.parent, True), (path, False)):
        try:
            found = place.lstat()
        except FileNotFoundError:
            return _cannot_make(one, place)
        except NotADirectoryError:
            return f"{place.parent} is a file, expected a folder"
        except PermissionError:
            return ""  # not for this user to see
        if not stat.S_ISDIR(found.st_mode):
            return f"{place} is no folder"
        allowed = (one.user, 0) if above or one.user == 0 else (one.user,)
        if one.user != 0 and found.st_uid not in allowed:
            return f"{place} belongs to user {found.st_uid}, and the process is user {one.user}'s"
        if one.user == 0 and above and found.st_uid != 0:
            return f"{place} belongs to user {found.st_uid}, and the process is root's"
        sticky = found.st_mode & stat.S_ISVTX and above
        if found.st_mode & 0o022 and not sticky:
            return f"{place} can be written by others (chmod go-w {place})"
    return ""


def _cannot_make(one: Running, place: Path) -> str:
    above = place.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        return f"{above} is a file, expected a folder"
    if os.statvfs(above).f_flag & os.ST_RDONLY:
        return f"{above} is read-only"
    found = above.stat()
    if one.user == 0:
        return ""
    try:
        groups = set(psutil.Process(one.pid).gids())
    except psutil.Error:
        return ""
    mode = found.st_mode
    bit = 0o200 if found.st_uid == one.user else 0o020 if found.st_gid in groups else 0o002
    if mode & bit:
        return ""
    return f"{place} cannot be made: user {one.user} may not write into {above}"


def _content(service: Service) -> Iterator[Finding]:
    where = service.where()
    try:
        totals = service.totals
    except PermissionError:
        yield UNREADABLE.found(f"{service.named} is another user's", **where)
        return
    if not os.access(service.folder, os.R_OK | os.X_OK):
        yield UNREADABLE.found(f"{service.named} is another user's", **where)
        return
    for text in service.refused:
        yield DAMAGED.found(text, **where)
    for name in sorted(totals.foreign):
        yield DAMAGED.found(f"{name} was counted in another shape by another version", **where)
    limit = service.reader.limit()
    for name in sorted(service.reader.exceeded):
        yield SERIES_LIMIT.found(f"{name} has more than {limit} series in {service.title}", **where)
    now = time.time()
    for target in targets(totals, now) if service.members else ():
        if not target.healthy:
            how = "has not answered for 15 s" if target.stale else "did not answer the last check"
            yield UNHEALTHY.found(f"{target.name} ({target.component}) {how}", **where)
    ahead = [r.root.started - now for r in service.reader.readers.values()]
    if ahead and max(ahead) > _APART_SECONDS:
        yield CLOCK.found(
            f"a process of {service.title} was started in {max(ahead):.0f} s", **where
        )
    if not service.members and service.exporter is None and totals.points:
        yield UNSENT.found(f"{service.named} has counts, and no process", **where)
