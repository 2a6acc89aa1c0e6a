"""A test alert through the whole path, as looks: one for the path, one for each channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from otel_accubooks.contract.alert import Channel
from otel_accubooks.contract.checklist import LookName
from otel_accubooks.servers.alertmanager import Alertmanager
from otel_accubooks.servers.api import ApiError
from otel_accubooks.trial import test_alert
from otel_accubooks.trial.hop import Hop
from otel_accubooks.verify.look import Look, State
from otel_accubooks.verify.way import Site

CHANNELS: Mapping[Channel, LookName] = {
    "phone": "channel phone",
    "email": "channel email",
    "slack": "channel slack",
}
GIVES: tuple[LookName, ...] = ("test alert", *CHANNELS.values())
_STATES: dict[str, State] = {"arrived": "passed", "missing": "failed", "unseen": "unseen"}


def look_test_alert(site: Site, backend: test_alert.Backend = "prometheus") -> Iterator[Look]:
    """Every station that is no channel of these belongs to the path."""
    for hop, asked in _tried(site, backend=backend):
        name = CHANNELS.get(hop.channel, "test alert") if hop.channel else "test alert"
        yield _look(name, hop, asked)


def look_others_of_pair(site: Site) -> Iterator[Look]:
    """Of a pair one alone told what is above; the other is told of an alert of its own."""
    for address in _younger(site.servers.alertmanager):
        one = replace(site, servers=replace(site.servers, alertmanager=(address,)))
        for hop, asked in _tried(one, directly=True):
            yield _look("pair", replace(hop, name=f"by {address}: {hop.name}"), asked)


def _younger(addresses: Sequence[str]) -> list[str]:
    """All but the one that tells: the first by the names that they have in their cluster."""
    named: list[tuple[str, str]] = []
    for address in addresses:
        with closing(Alertmanager(address)) as one:
            try:
                named.append((one.status()["cluster"].get("name", ""), address))
            except ApiError:
                named.append(("", address))  # it is tried, and does not answer
    return [address for _, address in sorted(named)[1:]]


def _tried(
    site: Site, *, backend: test_alert.Backend = "prometheus", directly: bool = False
) -> list[tuple[Hop, str]]:
    """The hops of a test alert, each with the question about what nobody can see from here."""
    seen: list[tuple[Hop, str]] = []
    questions: list[str] = []

    def later(question: str) -> bool:
        """Persons are asked once all is over, so that what they say is written down as theirs."""
        questions.append(question)
        return True

    def tell(hop: Hop) -> None:
        asked = questions.pop() if questions else ""
        site.say(f"{hop.name}: {asked or hop.said}")
        seen.append((hop, asked))

    test_alert.run(
        site.servers,
        site.to,
        backend=backend,
        environ=site.environ,
        url=site.url,
        confirm=later,
        say=tell,
        directly=directly,
    )
    return seen


def _look(name: LookName, hop: Hop, asked: str) -> Look:
    """`asked` is the question about a station that nobody can see from here."""
    evidence = () if hop.seconds is None else (f"{hop.name}: after {hop.seconds:.1f} s",)
    if asked:
        # It says who confirmed it, and nobody has.
        why = hop.said.partition("; ")[2] or hop.said
        return Look(name, "unseen", asked, (f"{hop.name}: {why}", *evidence))
    return Look(name, _STATES[hop.state], f"{hop.name}: {hop.said}", evidence)
