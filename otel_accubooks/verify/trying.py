"""A test alert through the whole path, as looks: one for the path, one for each channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from otel_accubooks.contract.alert import Channel
from otel_accubooks.contract.checklist import LookName
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
    seen: list[Look] = []
    questions: list[str] = []

    def later(question: str) -> bool:
        """Persons are asked once all is over, so that what they say is written down as theirs."""
        questions.append(question)
        return True

    def tell(hop: Hop) -> None:
        asked = questions.pop() if questions else ""
        site.say(f"{hop.name}: {asked or hop.said}")
        seen.append(_look(hop, asked))

    test_alert.run(
        site.servers,
        site.to,
        backend=backend,
        environ=site.environ,
        url=site.url,
        confirm=later,
        say=tell,
    )
    yield from seen


def _look(hop: Hop, asked: str) -> Look:
    """`asked` is the question about a station that nobody can see from here."""
    name = CHANNELS.get(hop.channel, "test alert") if hop.channel else "test alert"
    evidence = () if hop.seconds is None else (f"{hop.name}: after {hop.seconds:.1f} s",)
    if asked:
        # It says who confirmed it, and nobody has.
        why = hop.said.partition("; ")[2] or hop.said
        return Look(name, "unseen", asked, (f"{hop.name}: {why}", *evidence))
    return Look(name, _STATES[hop.state], f"{hop.name}: {hop.said}", evidence)
