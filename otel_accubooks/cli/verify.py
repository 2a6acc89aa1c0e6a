"""`otel-accubooks verify`: the checks that a deployment must pass, by looking, and their report."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from otel_accubooks.cli.screen import screen, spinner
from otel_accubooks.cli.stopping import Stopped, stoppable
from otel_accubooks.contract.checklist import ALL, Boxes
from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify.report import Files
from otel_accubooks.verify.verification import Confirm, Verification, confirmed, run_step
from otel_accubooks.verify.way import Site, Way
from otel_accubooks.verify.ways import WAYS

_COLOURS = {"passed": "green", "failed": "red", "unseen": "yellow"}
_TOLD = 12


def run(
    servers: Servers,
    to: Addresses,
    *,
    backend: str = "prometheus",
    folder: Path,
    operator: str = "",
    confirm: bool = False,
    url: str | None = None,
) -> int:
    """Looks at the deployment, writes the report to `folder`, says what is missing.

    0 only if every box is checked, 1 if not, 2 if the report cannot be written, 130 after Ctrl-C
    and 143 after SIGTERM, with a report all the same.
    `confirm` has a person asked, line by line on standard input, about what cannot be seen. `url` is
    the vendor's API, where it is not the vendor's own.
    """
    console = screen()
    verification = Verification(backend, servers.service, operator or _login(), _now())
    try:
        files = Files(folder, verification.began)
    except OSError as error:
        console.print(
            f"The report cannot be written to {folder} ({error.strerror}); nothing was looked at. "
            "Name another folder by --evidence.",
            markup=False,
        )
        return 2
    stopped = None
    # Whatever happened, what was seen until then is written down, and is no success.
    try:
        with stoppable():
            site = Site(servers, to, os.environ, lambda _: None, url=url)
            _look(WAYS[backend](), site, verification, console, confirm=confirm)
    except Stopped as error:
        stopped, verification.interrupted = error, True
    except Exception as error:
        console.print(f"Stopped: {type(error).__name__}: {error}", markup=False)
    verification.ended = _now()
    try:
        files.write(verification)
    except OSError as error:
        console.print(
            f"The report cannot be written to {folder} ({error.strerror}), where it could when this "
            "began: what was seen is lost. Make room, or name another folder by --evidence.",
            markup=False,
        )
        return stopped.exit_status if stopped else 2
    _conclude(verification, files, console)
    if stopped:
        return stopped.exit_status
    return 0 if verification.success else 1


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _look(
    way: Way, site: Site, verification: Verification, console: Console, *, confirm: bool
) -> None:
    for number, step in enumerate(way, 1):
        title = f"[{number}/{len(way)}] {step.title}"
        with spinner(console, title) as say:
            looks = run_step(step, replace(site, say=say))
        for look in looks:
            found = f"{look.name}: {look.state}: {look.said}"
            colour = _COLOURS[look.state]
            console.print(f"[{colour}]{escape(found)}[/]")
        verification.seen += confirmed(looks, _asker(console) if confirm else None)


def _asker(console: Console) -> Confirm:
    """Asks on the terminal, or reads one line for each question where there is none."""

    def ask(question: str) -> bool:
        console.print(f"Not seen from here: {question}", markup=False)
        console.print("Is it so, as far as you have seen it yourself? [y/n] ", markup=False, end="")
        while line := sys.stdin.readline():
            answer = line.strip().lower()
            if answer in ("y", "yes", "n", "no"):
                if not sys.stdin.isatty():
                    console.print(answer, markup=False)
                return answer.startswith("y")
            console.print("y or n? ", markup=False, end="")
        console.print("", markup=False)
        return False

    return ask


def _conclude(verification: Verification, files: Files, console: Console) -> None:
    for boxes in ALL:
        _print_boxes(boxes, verification, console)
    console.print(f"\nThe report: {files.markdown}, and {files.json.name} beside it", markup=False)
    if verification.success:
        console.print("[bold green]SUCCESS[/]: every box is checked.")
        return
    console.print("[bold red]INCOMPLETE[/]: what is missing, and what to do:")
    reasons: dict[str, list[str]] = {}
    for line in verification.wrong:
        name, _, said = line.partition(": ")
        reasons.setdefault(said, []).append(name)
    for said, names in list(reasons.items())[:_TOLD]:
        console.print(f"- {', '.join(dict.fromkeys(names))}: {said}", markup=False)
    if (more := len(reasons) - _TOLD) > 0:
        console.print(f"- and {more} more, in the report")
    if any(seen.look.state == "unseen" and not seen.passed for seen in verification.seen):
        console.print("What cannot be seen from here is asked with --confirm.")


def _print_boxes(boxes: Boxes, verification: Verification, console: Console) -> None:
    console.print(f"\n{boxes.title}", markup=False)
    for box in boxes.boxes:
        mark = " " if verification.missing(box) else "x"
        console.print(f"  [{mark}] {box.told(verification.backend)}", markup=False)
