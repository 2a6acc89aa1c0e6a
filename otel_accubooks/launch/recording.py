"""Recording in a process: the recorder gets its folder, and the exporter is seen to."""

from __future__ import annotations

import os
import sys
from functools import partial
from logging import getLogger
from time import monotonic

from otel_accubooks.launch.settings import Settings
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.locks import ServiceLock
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.root import Root, process_ticks

_log = getLogger("otel_accubooks")
WATCH_SECONDS = 1.0
REJOIN_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0

_said: set[str] = set()  # here, or in a process that this one was forked from
_NO_EXPORTER = "the process that sends the metrics cannot be started"
_NEEDED = (
    "counting goes on, and it is tried again: it needs one process and a few descriptors more than "
    "the limits of this one leave (ulimit -u, ulimit -n, memory)"
)

_told: tuple[str | None, int] = (None, 0)
_teller: ServiceLock | None = None
_pause = WATCH_SECONDS
_not_before = 0.0


def begin(given: Settings, pid: int, started: float) -> None:
    """Gets this process ready to record, as `given` says. Calling it again is nothing.

    The service was started in the process `pid`, this one or one that it was forked from, at `started`
    (Unix seconds).
    """
    if recorder.folder is not None:
        return
    recorder.root = Root(pid, process_ticks(pid) or 0, started)
    recorder.folder = StateFolder(given.folder)
    recorder.series_limit = given.series_limit
    from otel_accubooks.instrument.polling import polls

    polls.interval = given.interval_seconds
    # Imported here, since one that is forked while another thread imports waits for that for ever.
    from otel_accubooks.export import spawn  # noqa: F401

    polls.add_everywhere("watching the exporter", _watch_exporter, WATCH_SECONDS)
    polls.add_everywhere("joining the others", recorder.rejoin, REJOIN_SECONDS)
    recorder.on_open(partial(_say, given))
    recorder.on_memory(partial(_say, given))
    recorder.on_open(_forget_teller)
    recorder.on_open(_see_to_exporter)
    recorder.on_open(polls.start)
    if given.exports:
        from otel_accubooks.launch import alone

        alone.send_what_is_alone(given.interval_seconds)
    if given.users_key is not None:
        from otel_accubooks.instrument import users

        users.common_key = given.users_key
    if given.rules is not None:
        from otel_accubooks.instrument import business

        if (problem := business.load_rules(given.rules)) is not None:
            given.problems += problem.splitlines()


def _say(given: Settings) -> None:
    # Every worker of a server may be the first that begins: one of them says it.
    for problem in (*given.problems, *given.unknown):
        if problem not in _said:
            _said.add(problem)
            if recorder.first_to_say(problem):
                _log.warning("otel-accubooks: %s", problem)


def _see_to_exporter() -> None:
    global _pause, _not_before
    from otel_accubooks.export import spawn

    if recorder.segment is None or recorder.folder is None:
        return
    if spawn.exporter_runs(recorder.folder):
        _pause = WATCH_SECONDS
    elif monotonic() >= _not_before:
        # One that dies at once is not started every second for ever.
        _not_before = monotonic() + _pause
        _pause = min(2 * _pause, LONGEST_PAUSE_SECONDS)
        try:
            spawn.start_exporter(recorder.folder)
        except OSError as error:
            _say_no_exporter(error)


def _say_no_exporter(error: OSError) -> None:
    if recorder.first_to_say(_NO_EXPORTER):
        _log.warning("otel-accubooks: %s (%s); %s", _NO_EXPORTER, error.strerror, _NEEDED)


def _watch_exporter() -> None:
    global _told
    from otel_accubooks.export import spawn

    spawn.reap()
    _see_to_exporter()
    if recorder.segment is None or recorder.folder is None or not _is_teller(recorder.folder):
        return
    problem, notes = spawn.exporter_problem(recorder.folder), spawn.exporter_notes(recorder.folder)
    said, number = _told
    if (problem, len(notes)) != _told:
        _told = problem, len(notes)
        spawn.note_told(recorder.folder, problem, notes)
        for text in notes[number:]:
            _log.warning("otel-accubooks: %s", text)
        if problem != said:
            _log.warning("otel-accubooks: %s", problem or "metrics are arriving again")


def _is_teller(folder: StateFolder) -> bool:
    """True in the one process of the service that logs what the exporter has to say."""
    global _teller, _told
    before = _teller is not None and _teller.held
    if _teller is None:
        _teller = ServiceLock(folder, "teller")
    try:
        if not _teller.take():
            return False
    except OSError:
        return False  # deleted; somebody makes it anew
    if not before:
        from otel_accubooks.export import spawn

        _told = spawn.told(folder)  # by whoever told before
    return True


def _forget_teller() -> None:
    global _teller
    if _teller is not None:
        _teller.forget()
        _teller = None


def end() -> None:
    """At the end of the process: what was recorded is sent, and waited for, 1.5 s at most."""
    # Only where the service was started: the others' counts are in shared memory. But the master of
    # uWSGI ends without this.
    started_here = os.getpid() == recorder.root.pid
    if recorder.folder is None or not (started_here or "uwsgi" in sys.modules):
        return
    try:
        from otel_accubooks.export import spawn
        from otel_accubooks.launch.process_end import seconds_left

        if recorder.folder.segments() and not spawn.exporter_runs(recorder.folder):
            spawn.start_exporter(recorder.folder)  # nobody else may be left to notice
        spawn.ask_to_send(recorder.folder, seconds_left(recorder.folder))
    except OSError:
        pass  # no folder to ask in, or no descriptor to ask by
