"""A page of the built-in viewer as a browser gets it: by the callbacks of Dash."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

import httpx

from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.contract.query import DAY
from otel_accubooks.servers.api import DIRECT, Api, ApiError

Json = dict[str, Any]

_CALLBACK = "/_dash-update-component"
_PARTS = (("card", "className"), ("graph", "figure"), ("below", "children"))
_PLAIN = (
    ("facts", "children"),
    ("choices", "children"),
    ("banner", "children"),
    ("again", "interval"),
)


@dataclass(frozen=True)
class Page:
    """What a page shows.

    `refresh` is in seconds; `cards` are the titles of its panels in their order, `faults` what is
    wrong with a panel by its title, `figures` Plotly's, `numbers` the big numbers. `moment` is the
    Unix time of which it was drawn.
    """

    title: str
    refresh: float
    cards: tuple[str, ...]
    faults: Mapping[str, str]
    figures: Mapping[str, Json]
    numbers: Mapping[str, tuple[str, ...]]
    banner: str
    facts: str
    moment: float

    @property
    def since(self) -> float | None:
        """The Unix time since when the application is up; None where the page does not say."""
        found = re.search(r"up since (\S+ \S+) UTC", self.facts)
        return datetime.fromisoformat(f"{found[1]}+00:00").timestamp() if found else None


class Viewer:
    """The viewer at `address`. Every method raises ApiError where it does not answer as one."""

    def __init__(self, address: str) -> None:
        self._api = Api(address, {})
        self.address = self._api.address
        self._files = httpx.Client(base_url=self.address, timeout=30, mounts=DIRECT)
        self._there: set[str] = set()

    def has(self, board: Dashboard) -> bool:
        """Whether it shows this dashboard, to whoever asks."""
        frame = self._frame(f"/{board.name}", "")
        return any(_title(one) == board.title for one in _nodes(frame, "H1"))

    def drawn(self, board: Dashboard) -> str:
        """Why a browser would draw nothing; empty where the page comes, and each of its files."""
        try:
            page = self._files.get(f"/{board.name}")
            if page.is_error or "_dash-config" not in page.text:
                return f"{page.url} answers {page.status_code}, and no page of the viewer"
            for file in re.findall(r'(?:src|href)="([^"]+)"', page.text):
                if file not in self._there and self._files.get(file).is_error:
                    return (
                        f"{self.address}{file} is not there, so that no browser can draw the page"
                    )
                self._there.add(file)
        except httpx.HTTPError as error:
            raise ApiError(f"{self.address}/{board.name}: {error}") from error
        return ""

    def page(self, board: Dashboard, service: str) -> Page:
        """The page of a dashboard about this service, with its data."""
        path, query = f"/{board.name}", f"?{urlencode({'service': service})}"
        frame = self._frame(path, query)
        titles = [_title(one) for one in _nodes(frame, "H1")]
        if not titles:
            raise ApiError(f"{self.address}{path}: no dashboard there: {_text(frame)[:200]}")
        ids = {kind: _ids(frame, kind) for kind, _ in _PARTS}
        intervals = [one["props"]["interval"] for one in _nodes(frame, "Interval")]
        now = self._filled(path, query, ids)
        figures = {title: now["graph", title, "figure"] for title in ids["graph"]}
        facts = str(now["facts", "", "children"])
        belows = {title: now["below", title, "children"] for title in ids["below"]}
        faults = {title: _fault(figures.get(title), belows.get(title)) for title in ids["card"]}
        return Page(
            titles[0], intervals[0] / 1000 if intervals else 0, tuple(ids["card"]),
            {title: fault for title, fault in faults.items() if fault}, figures,
            {title: tuple(_text(one) for one in _nodes(below, "B")) for title, below in belows.items()},
            str(now["banner", "", "children"] or ""), facts, _moment(facts, self.address),
        )  # fmt: skip

    def close(self) -> None:
        """Ends the connections."""
        self._api.close()
        self._files.close()

    def _frame(self, path: str, query: str) -> Any:
        """The page without its data."""
        body = {
            "output": "page.children",
            "outputs": {"id": "page", "property": "children"},
            "inputs": _address(path, query),
            "changedPropIds": ["address.pathname"],
        }
        return self._called(body)["page"]["children"]

    def _filled(self, path: str, query: str, ids: Mapping[str, list[str]]) -> dict[Any, Any]:
        """The data of the page, by part, title and property."""
        outputs: list[Any] = [
            [{"id": {kind: title}, "property": name} for title in ids[kind]]
            for kind, name in _PARTS
        ]
        outputs += [{"id": kind, "property": name} for kind, name in _PLAIN]
        told = [f'{{"{kind}":["ALL"]}}.{name}' for kind, name in _PARTS]
        told += [f"{kind}.{name}" for kind, name in _PLAIN]
        body = {
            "output": f"..{'...'.join(told)}..",
            "outputs": outputs,
            "inputs": [{"id": "again", "property": "n_intervals", "value": 1}],
            "state": _address(path, query),
            "changedPropIds": ["again.n_intervals"],
        }
        response = self._called(body)
        found: dict[Any, Any] = {}
        for kind, name in _PARTS:
            for title in ids[kind]:
                found[kind, title, name] = response[f'{{"{kind}":"{title}"}}'][name]
        for kind, name in _PLAIN:
            found[kind, "", name] = response[kind][name]
        return found

    def _called(self, body: Json) -> Json:
        answer = self._api.ask("POST", _CALLBACK, body)
        try:
            response: Json = answer["response"]
        except (KeyError, TypeError):
            raise ApiError(
                f"{self.address} answers not as `otel-accubooks dashboards` does: is the address right?"
            ) from None
        return response


def _address(path: str, query: str) -> list[Json]:
    return [
        {"id": "address", "property": "pathname", "value": path},
        {"id": "address", "property": "search", "value": query},
    ]


def _walked(node: Any) -> Iterator[Json]:
    """Every component of a Dash layout."""
    if isinstance(node, list):
        for one in node:
            yield from _walked(one)
    elif isinstance(node, dict) and "props" in node:
        yield node
        yield from _walked(node["props"].get("children"))


def _nodes(node: Any, kind: str) -> list[Json]:
    return [one for one in _walked(node) if one["type"] == kind]


def _title(node: Json) -> str:
    return str(node["props"].get("children"))


def _ids(frame: Any, kind: str) -> list[str]:
    ids = [one["props"].get("id") for one in _walked(frame)]
    return [one[kind] for one in ids if isinstance(one, dict) and kind in one]


def _text(node: Any) -> str:
    """Everything that can be read in a part of a page."""
    if isinstance(node, list):
        return " ".join(filter(None, map(_text, node)))
    if isinstance(node, dict):
        return _text(node.get("props", {}).get("children"))
    return "" if node is None else str(node)


def _fault(figure: Json | None, below: Any) -> str:
    """What is wrong with a panel; empty where it shows data."""
    for one in _walked(below):
        classes = str(one["props"].get("className", "")).split()
        if "nothing" in classes or "grey" in classes:
            return _text(below)
        if "quiet" in classes and _text(one).startswith("no data"):
            return _text(one)
    if figure is None:
        return "" if _text(below) else "nothing is shown"
    return "" if any(map(_has_data, figure.get("data", ()))) else "its figure has no data"


def _has_data(trace: Json) -> bool:
    values = trace.get("y") or trace.get("values") or [trace.get("value")]
    return any(isinstance(value, (int, float)) for value in values)


def _moment(facts: str, address: str) -> float:
    """The page says hours, minutes and seconds of UTC: the time nearest to now that these are of."""
    found = re.search(r"(\d\d):(\d\d):(\d\d) UTC", facts)
    if found is None:
        raise ApiError(f"{address} does not say when its page was drawn: is it of this version?")
    hours, minutes, seconds = map(int, found.groups())
    now = time.time()
    moment = now - now % DAY + hours * 3600 + minutes * 60 + seconds
    return min((moment - DAY, moment, moment + DAY), key=lambda one: abs(one - now))


def began(trace: Json) -> float:
    """The time of a curve's first point, in Unix seconds."""
    return datetime.fromisoformat(str(trace["x0"])).replace(tzinfo=timezone.utc).timestamp()
