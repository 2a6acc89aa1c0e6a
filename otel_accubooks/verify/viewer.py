"""The built-in viewer: asked what a browser asks it, page by page."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.servers.api import LOOPBACK, ApiError
from otel_accubooks.verify import dashboards
from otel_accubooks.verify.dashboards import TEAMS, Watched, access
from otel_accubooks.verify.look import Look, State
from otel_accubooks.verify.source import FRESH_SECONDS
from otel_accubooks.verify.viewer_page import Page, Viewer
from otel_accubooks.verify.viewer_same import differs
from otel_accubooks.verify.way import Site


def looks(site: Site, watched: Watched) -> Iterator[Look]:
    """Everything about the dashboards that the viewer for the teams can be asked."""
    viewer = Viewer(site.servers.viewer)
    wrong = []
    try:
        viewer.has(DASHBOARDS[0])
    except ApiError as error:
        viewer.close()
        names = (name for name in dashboards.GIVES if name != access("executives"))
        yield from (Look(name, "failed", f"viewer: {error}") for name in names)
        return
    try:
        for board in DASHBOARDS:
            site.say(f"{board.title} in the viewer")
            try:
                page = viewer.page(board, watched.service)
                yield _created(board, page, viewer)
                yield _shown(board, page, watched)
                if page.refresh != board.refresh:
                    wrong.append(
                        f"{board.title} every {page.refresh:g} s, expected {board.refresh:g} s"
                    )
            except ApiError as error:
                wrong.append(f"{board.title} was not seen")
                for name in (dashboards.created(board), dashboards.shown(board)):
                    yield Look(name, "failed", f"viewer: {error}")
        yield _refreshed(wrong)
        for team in TEAMS:
            boards = [board for board in DASHBOARDS if team in board.teams and not board.public]
            if boards:
                yield Look(access(team), *_reached(viewer, boards))
    finally:
        viewer.close()


def public_look(site: Site, watched: Watched) -> Look:
    """That everybody sees the executive dashboard, and no other."""
    name, viewer = access("executives"), Viewer(site.servers.public)
    site.say("what the public sees")
    (public,) = (board for board in DASHBOARDS if board.public)
    try:
        others = [board.title for board in DASHBOARDS if board != public and viewer.has(board)]
        if others:
            said = (
                f"the public sees {', '.join(others)} at {viewer.address}, expected {public.title}"
                f" alone: start that viewer with --only {public.name}"
            )
            return Look(name, "failed", said)
        page, blank = viewer.page(public, watched.service), viewer.drawn(public)
    except ApiError as error:
        return Look(name, "failed", f"what the public should see: {error}")
    finally:
        viewer.close()
    faults = _faults(public, page)
    if blank or faults or (other := differs(public, page, watched)):
        told = blank or "; ".join(f"{title}: {fault}" for title, fault in faults.items()) or other
        return Look(name, "failed", f"what the public sees at {viewer.address}: {told}")
    said = f"{public.title} is seen at {viewer.address} without signing in, and no other dashboard"
    return Look(name, "passed", said, (page.facts,))


def _created(board: Dashboard, page: Page, viewer: Viewer) -> Look:
    name, wanted = dashboards.created(board), [panel.title for panel in board.panels]
    url = f"{viewer.address}/{board.name}"
    if blank := viewer.drawn(board):
        said = f"viewer: {blank}: is all of {viewer.address} let through to it?"
        return Look(name, "failed", said)
    if page.title != board.title:
        said = f"viewer: {url} shows {page.title!r}, expected {board.title!r}"
        return Look(name, "failed", said)
    if list(page.cards) != wanted:
        missing = [title for title in wanted if title not in page.cards]
        said = (
            f"viewer: {board.title} has not the contract's panels (missing: {', '.join(missing)}):"
            " start it with this version of otel-accubooks"
        )
        return Look(name, "failed", said, tuple(page.cards))
    return Look(name, "passed", f"viewer: {board.title} has its {len(wanted)} panels", (url,))


def _shown(board: Dashboard, page: Page, watched: Watched) -> Look:
    name = dashboards.shown(board)
    if page.banner:
        return Look(name, "failed", f"viewer: {board.title}: {page.banner}")
    age = time.time() - page.moment
    if abs(age) > board.refresh + FRESH_SECONDS:
        said = (
            f"viewer: {board.title} is of {age:.0f} s ago ({page.facts}), expected at most"
            f" {board.refresh:g} s: is the clock of its machine right?"
        )
        return Look(name, "failed", said)
    faults = _faults(board, page)
    if not faults and (other := differs(board, page, watched)):
        return Look(name, "failed", f"viewer: {board.title}: {other}")
    try:
        found = watched.prometheus.query(dashboards.ages(board, watched.service))
    except ApiError as error:
        return Look(name, "failed", str(error))
    seconds = {one.labels["metric"]: one.value for one in found}
    old = dashboards.stale(board, seconds)
    return dashboards.data(board, "viewer", faults, old, max(seconds.values(), default=None))


def _faults(board: Dashboard, page: Page) -> dict[str, str]:
    wanted = [panel.title for panel in board.panels]
    if page.banner:
        return dict.fromkeys(wanted, page.banner)
    return {title: page.faults.get(title, "") for title in wanted if page.faults.get(title, "")} | {
        title: "the panel is not there" for title in wanted if title not in page.cards
    }


def _refreshed(wrong: list[str]) -> Look:
    if wrong:
        return Look("refresh", "failed", f"viewer: {'; '.join(wrong)}: is it of this version?")
    told = ", ".join(f"{board.title} every {board.refresh:g} s" for board in DASHBOARDS)
    return Look("refresh", "passed", "viewer: each is drawn anew as the contract says", (told,))


def _reached(viewer: Viewer, boards: list[Dashboard]) -> tuple[State, str]:
    try:
        missing = [board.title for board in boards if not viewer.has(board)]
    except ApiError as error:
        return "failed", f"viewer: {error}"
    named = ", ".join(board.title for board in boards)
    if missing:
        return (
            "failed",
            f"viewer: {viewer.address} has no {', '.join(missing)}: is it started for all?",
        )
    reached = [viewer.address]
    if urlsplit(viewer.address).hostname in LOOPBACK:
        reached = list(_from_outside(viewer.address))
    if not reached:
        return (
            "passed",
            f"viewer: {named} is seen by whoever is on this machine, and by nobody else",
        )
    return (
        "unseen",
        f"viewer: {named} is seen by everybody who reaches {reached[0]}, which asks nobody who"
        " they are; confirm that its teams reach it, and they alone",
    )


def _from_outside(address: str) -> Iterator[str]:
    """The addresses at which others reach what answers here on the loopback address."""
    port = urlsplit(address).port or 80
    for known in psutil.net_if_addrs().values():
        for one in known:
            if one.family != socket.AF_INET or one.address.startswith("127."):
                continue
            with contextlib.suppress(OSError), socket.create_connection((one.address, port), 3):
                yield f"http://{one.address}:{port}"
