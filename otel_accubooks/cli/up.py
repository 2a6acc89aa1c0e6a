"""`otel-accubooks up`: what observes an application, on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from rich.markup import escape

from otel_accubooks.cli.screen import screen
from otel_accubooks.cli.stopping import Stopped, stoppable
from otel_accubooks.stack.binaries import NotFoundError
from otel_accubooks.stack.hand_over import write
from otel_accubooks.stack.local import Local
from otel_accubooks.stack.process import StartError
from otel_accubooks.vendors.addresses import Addresses

console = screen()


def run(
    folder: Path, backends: tuple[str, ...], applications: tuple[str, ...], to: Addresses | None
) -> int:
    """Starts it and waits; 0 once it was asked to end, 1 with one line where something is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"{folder} cannot be made: {error.strerror}; --folder names another one"
        console.print(f"[red]Not started.[/] {escape(said)}")
        return 1
    try:
        local = Local(folder.resolve(), backends, applications=applications, to=to)
        with stoppable(), local.start(_say):
            _show(local, folder)
            while True:
                signal.pause()
    except (StartError, NotFoundError) as error:
        console.print(f"[red]Not started.[/] {escape(str(error))}")
        return 1
    except Stopped:
        console.print(f"Stopped; nothing is left running, the data stays in {folder}.")
        return 0


def _say(step: str) -> None:
    console.print(f"[dim]starting[/] {step}")


def _show(local: Local, folder: Path) -> None:
    width = max(map(len, local.shown)) + 1
    for name, address in local.shown.items():
        console.print(f"{name:{width}} {address}")
    console.print("In the application's environment:")
    console.print(f"  export OTEL_EXPORTER_OTLP_ENDPOINT={local.servers.gateway}")
    if local.environment and local.to is not None:
        command = write(folder, local.to, local.servers, local.environment)
        console.print("To check it, with the stand-ins' addresses and keys:")
        console.print(f"  {command}")
    console.print("Ctrl-C ends it all.")
    sys.stdout.flush()
