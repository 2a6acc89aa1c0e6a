"""Which dashboards are in which folder, and who may look into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard, Team

# What is ours in somebody's Grafana is known by this.
MARK = "managed-by:otel-accubooks"
_OURS = "accubooks"


@dataclass(frozen=True)
class Folder:
    """The dashboards of the same teams. Of a public one, everybody who is signed in is a viewer."""

    teams: tuple[Team, ...]
    public: bool
    boards: tuple[Dashboard, ...]

    @property
    def name(self) -> str:
        """As part of a path, e.g. operations-engineering."""
        return "-".join(self.teams)

    @property
    def uid(self) -> str:
        """Its identity in every Grafana."""
        return uid(self.name)

    @property
    def title(self) -> str:
        """As people see it."""
        return f"AccuBooks {' and '.join(map(team_name, self.teams))}"


def uid(name: str) -> str:
    """The identity of a dashboard or folder, the same in every Grafana: at most 40 characters."""
    return f"{_OURS}-{name.replace('_', '-')}"


def is_ours(object_uid: str) -> bool:
    """Whether `uid` made it. A copy that somebody saves gets another."""
    return object_uid.startswith(f"{_OURS}-")


def team_name(team: Team) -> str:
    """What a team is called in Grafana."""
    return team.capitalize()


def _folders() -> Iterator[Folder]:
    for teams in dict.fromkeys(board.teams for board in DASHBOARDS):
        boards = tuple(board for board in DASHBOARDS if board.teams == teams)
        yield Folder(teams, all(board.public for board in boards), boards)


FOLDERS = tuple(_folders())
