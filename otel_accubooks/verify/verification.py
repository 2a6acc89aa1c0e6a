"""The steps of a backend, one after the other, and what follows from what they saw."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from otel_accubooks.contract.checklist import ALL, Box
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.passwords import without_passwords
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.way import Site, Step

# Asks a person whether what one line says is so.
Confirm = Callable[[str], bool]
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTHORIZATION|(^|_)KEYS?(_|$)")
_SHORTEST_SECRET = 6


@dataclass(frozen=True)
class Seen:
    """A look, and whether a person has confirmed what it could not see."""

    look: Look
    confirmed: bool = False

    @property
    def passed(self) -> bool:
        """A person's word makes up for what cannot be seen, never for what is wrong."""
        return self.look.state == "passed" or (self.look.state == "unseen" and self.confirmed)


@dataclass
class Verification:
    """What was seen so far of a deployment, when, and on whose account."""

    backend: str
    service: str
    operator: str
    began: datetime
    seen: list[Seen] = field(default_factory=list)
    ended: datetime | None = None
    interrupted: bool = False

    def of(self, box: Box) -> list[Seen]:
        """What was seen for a box, in the order of what it needs."""
        return [seen for name in box.needs for seen in self.seen if seen.look.name == name]

    def missing(self, box: Box) -> list[str]:
        """Why a box is not checked: one line for each look that it needs and that did not pass."""
        lines = []
        for name in box.needs:
            looks = [seen for seen in self.seen if seen.look.name == name]
            if not looks:
                lines.append(f"{name}: nobody looked")
            for seen in looks:
                if not seen.passed:
                    unseen = "cannot be seen from here: " if seen.look.state == "unseen" else ""
                    lines.append(f"{name}: {unseen}{seen.look.said}")
        return lines

    @property
    def success(self) -> bool:
        """Only if it came to its end, and every box is checked."""
        return (
            self.ended is not None
            and not self.interrupted
            and not any(self.missing(box) for boxes in ALL for box in boxes.boxes)
        )

    @property
    def wrong(self) -> list[str]:
        """Each thing that keeps a box from being checked, once, in the order of the boxes."""
        found = [line for boxes in ALL for box in boxes.boxes for line in self.missing(box)]
        return list(dict.fromkeys(found))


def run_step(step: Step, site: Site) -> list[Look]:
    """The looks of one step. Whatever it raises is a look that failed, for all that it was to give."""
    looks: list[Look] = []
    quiet = replace(site, say=lambda line: site.say(_clean(line, site.environ)))
    try:
        for look in step.look(quiet):
            looks.append(look)
    except Exception as error:
        looks += [Look(name, "failed", _told(error)) for name in step.gives]
    given = {look.name for look in looks}
    absent = [name for name in step.gives if name not in given]
    looks += [Look(name, "failed", f"{step.title}: nothing was seen of it") for name in absent]
    return [_without_secrets(look, site.environ) for look in looks]


def _told(error: Exception) -> str:
    """One line; what is no answer of a server is a fault of ours, or an answer of another server."""
    said = " ".join(str(error).split()) or "no reason given"
    if isinstance(error, ApiError):
        return said
    return f"could not be looked at: {type(error).__name__}: {said}"


def confirmed(looks: Sequence[Look], confirm: Confirm | None) -> list[Seen]:
    """The looks, with a person's word for each that could not be seen, where one is asked."""
    return [
        Seen(look, look.state == "unseen" and confirm is not None and confirm(look.said))
        for look in looks
    ]


def _without_secrets(look: Look, environ: Mapping[str, str] = os.environ) -> Look:
    """Nothing of a report may let somebody in."""
    evidence = tuple(_clean(line, environ) for line in look.evidence)
    return replace(look, said=_clean(look.said, environ), evidence=evidence)


def _clean(text: str, environ: Mapping[str, str]) -> str:
    """Without secrets of the environment, and without passwords of addresses."""
    for name, value in environ.items():
        if _SECRET_NAME.search(name.upper()) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "…")
    return without_passwords(text)
