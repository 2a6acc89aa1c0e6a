"""How a backend is looked at: steps, each of which gives looks under the names of the checklist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from otel_accubooks.contract.checklist import LookName
from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify.look import Look


@dataclass(frozen=True)
class Site:
    """The deployment that is looked at. Secrets are read from `environ`, where they are needed.

    `say` takes one line about what is being done, for whoever watches. `url` is the vendor's API,
    where it is not the vendor's own.
    """

    servers: Servers
    to: Addresses
    environ: Mapping[str, str]
    say: Callable[[str], None]
    url: str | None = None


@dataclass(frozen=True)
class Step:
    """One thing that is done to look, as `title` says.

    `look` gives looks whose names are among `gives`, at least one for each of them, as many as it
    likes: all looks of a name must pass. What it raises, and a name without a look, has failed.
    """

    title: str
    gives: tuple[LookName, ...]
    look: Callable[[Site], Iterable[Look]]


# All steps of a backend, in their order; together they give every name of the checklist.
Way = tuple[Step, ...]
