"""People who use AccuBooks while something is wrong with it, and go on whatever it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

import httpx

COMPANIES = ("acorn", "birch", "cedar", "sapling", "crooked")
PASSWORD = "correct horse"
PAUSE_SECONDS = 0.2

Deed = Callable[[httpx.Client], object]


class People:
    """Everybody of the seeded companies. As a context manager, one of them is always there.

    Who is looks at the first page and at a scenario, which comes from the cache: no connection to
    the database is needed, but for one look-up a minute.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._cookies: dict[str, httpx.Cookies] = {}
        self._always = self.busy("pro@birch.example", self.look)

    def client(self, email: str) -> httpx.Client:
        """A browser of somebody who is signed in. Raises httpx.HTTPError."""
        if email not in self._cookies:
            person = {"email": email, "password": PASSWORD}
            with self._browser() as client:
                client.post("/login", json=person).raise_for_status()
                self._cookies[email] = client.cookies
        return self._browser(self._cookies[email])

    def _browser(self, cookies: httpx.Cookies | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, cookies=cookies)

    @contextmanager
    def busy(
        self, email: str, deed: Deed, *, browsers: int = 1, pause: float = PAUSE_SECONDS
    ) -> Iterator[None]:
        """`deed` is done again and again by `browsers` at once, with a pause between, until the end."""
        over = threading.Event()

        def live(client: httpx.Client) -> None:
            with client:
                while not over.is_set():
                    try:
                        deed(client)
                    except httpx.HTTPError:
                        pass  # the fault; they try again
                    over.wait(pause)

        clients = [self.client(email) for _ in range(browsers)]
        threads = [threading.Thread(target=live, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def look(self, client: httpx.Client) -> None:
        """What whoever is always there does: the first page, and a scenario of Birch's."""
        client.get("/")
        client.get(self._scenario)

    def __enter__(self) -> None:
        with self.client("pro@birch.example") as client:
            made = client.post("/api/scenarios", json={"name": "as always"}).raise_for_status()
            self._scenario = f"/api/scenarios/{made.json()['id']}"
        self._always.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._always.__exit__(kind, error, traceback)
