"""`otel-accubooks up`: what observes an application, on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from rich.console import Console

from otel_accubooks.stack.binaries import NotFoundError
from otel_accubooks.stack.hand_over import write
from otel_accubooks.stack.local import Local
from otel_accubooks.stack.process import StartError
from otel_accubooks.vendors.addresses import Addresses

console = Console(soft_wrap=True)


def run(
    folder: Path, backends: tuple[str, ...], applications: tuple[str, ...], to: Addresses | None
) -> int:
    """Starts it and waits; 0 once it was asked to end, 1 with one line where something is missing."""
    # What a script starts in the background ignores SIGINT, unless it says otherwise.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        local = Local(folder.resolve(), backends, applications=applications, to=to)
        with local.start(_say):
            _show(local, folder)
            while True:
                signal.pause()
    except (StartError, NotFoundError) as error:
        console.print(f"[red]Not started.[/] {error}")
        return 1
    except KeyboardInterrupt:
        console.print(f"Stopped; nothing is left running, the data stays in {folder}.")
        return 0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _say(step: str) -> None:
    console.print(f"[dim]starting[/] {step}", highlight=False)


def _show(local: Local, folder: Path) -> None:
    width = max(map(len, local.shown)) + 1
    for name, address in local.shown.items():
        console.print(f"{name:{width}} {address}", highlight=False)
    console.print("In the application's environment:")
    console.print(f"  export OTEL_EXPORTER_OTLP_ENDPOINT={local.servers.gateway}", highlight=False)
    if local.environment and local.to is not None:
        command = write(folder, local.to, local.servers, local.environment)
        console.print("To check it, with the stand-ins' addresses and keys:")
        console.print(f"  {command}", highlight=False)
    console.print("Ctrl-C ends it all.")
    sys.stdout.flush()
