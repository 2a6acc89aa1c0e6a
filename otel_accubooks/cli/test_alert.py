"""`otel-accubooks test-alert`: a test alert through the whole path, hop by hop."""

from __future__ import annotations

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from otel_accubooks.cli.screen import moves, screen
from otel_accubooks.cli.stopping import Stopped, stoppable
from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial import test_alert
from otel_accubooks.trial.hop import Hop
from otel_accubooks.trial.test_alert import Backend
from otel_accubooks.vendors.addresses import Addresses

_COLOURS = {"arrived": "green", "missing": "red", "unseen": "yellow"}


def run(
    servers: Servers,
    to: Addresses,
    *,
    backend: Backend = "prometheus",
    confirm: bool = False,
    url: str | None = None,
) -> int:
    """Fires a test alert and shows every hop; 0 only if all of the way was seen to work.

    130 after Ctrl-C, 143 after SIGTERM.
    With `confirm` a person is asked about what cannot be seen from here. `url` is the vendor's API.
    """
    console = screen()
    shown = _Table(console) if moves(console) else _Lines()
    with shown, stoppable():
        try:
            hops = test_alert.run(
                servers,
                to,
                backend=backend,
                confirm=shown.ask if confirm else None,
                say=shown.hop,
                url=url,
            )
        except Stopped as stopped:
            shown.last("Stopped; the test alert is ended.")
            return stopped.exit_status
        whole = test_alert.whole(hops)
        shown.last(_verdict(hops, whole=whole, confirm=confirm))
    return 0 if whole else 1


def _verdict(hops: list[Hop], *, whole: bool, confirm: bool) -> str:
    if whole:
        return "The test alert went all the way, and is over everywhere."
    missing = [hop.name for hop in hops if hop.state == "missing"]
    if missing:
        return f"It did not go all the way: see {missing[0]}."
    unseen = ", ".join(hop.name for hop in hops if hop.state == "unseen")
    ask = "" if confirm else "; --confirm asks you"
    return f"Nothing is missing, and this was not seen: {unseen}{ask}."


class _Lines:
    """One line for each hop, where there is no terminal."""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def hop(self, hop: Hop) -> None:
        click.echo(f"{_time(hop):>8}  {hop.state:7}  {hop.name}: {hop.said}")

    def ask(self, question: str) -> bool | None:
        try:
            return click.confirm(question)
        except click.Abort:
            return None  # nobody is there

    def last(self, said: str) -> None:
        click.echo(said)


class _Table(_Lines):
    """A table that grows, and a spinner below it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._hops: list[Hop] = []
        self._live = Live(console=self._console, refresh_per_second=8)

    def __enter__(self) -> _Table:
        self._live.start()
        self._show(Spinner("dots", "a test alert is under way"))
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def hop(self, hop: Hop) -> None:
        self._hops.append(hop)
        self._show(Spinner("dots", escape(f"after {hop.name}")))

    def ask(self, question: str) -> bool | None:
        self._live.stop()
        try:
            return super().ask(question)
        finally:
            self._live.start()

    def last(self, said: str) -> None:
        self._show(None)
        self._live.stop()
        self._console.print(escape(said))

    def _show(self, spinner: Spinner | None) -> None:
        table = Table(title="A test alert", title_justify="left")
        table.add_column("hop")
        table.add_column("after", justify="right", no_wrap=True)
        table.add_column("")
        table.add_column("how it was seen, or what to do", overflow="fold")
        for hop in self._hops:
            state = f"[{_COLOURS[hop.state]}]{hop.state}[/]"
            table.add_row(escape(hop.name), _time(hop), state, escape(hop.said))
        if spinner is not None:
            self._live.update(_both(table, spinner))
        else:
            self._live.update(table, refresh=True)


def _both(table: Table, spinner: Spinner) -> Table:
    both = Table.grid()
    both.add_row(table)
    both.add_row(spinner)
    return both


def _time(hop: Hop) -> str:
    return "" if hop.seconds is None else f"{hop.seconds:.1f} s"
