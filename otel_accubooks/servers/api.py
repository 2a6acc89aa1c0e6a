"""An HTTP API: JSON in and out, what is temporary tried again, errors in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import tenacity

from otel_accubooks.servers.passwords import without_passwords

TEMPORARY = frozenset({429, 502, 503, 504})
ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 30.0
_SHOWN_BYTES = 60
# What is on this machine is asked itself, whatever HTTP_PROXY says, as Prometheus and the gateway do.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DIRECT: Mapping[str, None] = dict.fromkeys(
    ("all://127.0.0.1", "all://localhost", "all://[::1]"), None
)


class ApiError(RuntimeError):
    """The server refused, or could not be asked: what was asked, what it said, what to do."""

    def __init__(self, said: str) -> None:
        super().__init__(without_passwords(said))


class _TemporaryError(Exception):
    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def _wait(state: tenacity.RetryCallState) -> float:
    """As long as the vendor asks for, else longer each time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _TemporaryError):
        asked = error.answer.headers.get("retry-after", "")
        if asked.isdigit():
            return min(float(asked), LONGEST_WAIT_SECONDS)
    return float(tenacity.wait_exponential(multiplier=0.5, max=LONGEST_WAIT_SECONDS)(state))


def _may_pass(error: BaseException) -> bool:
    """Whether another try may help: not where nobody listens, or nobody answers for a long time."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (ConnectionRefusedError, httpx.TimeoutException)):
            return False
        cause = cause.__cause__ or cause.__context__
    return isinstance(error, (_TemporaryError, httpx.TransportError))


class Api:
    """The API below `address`. `headers` go with every request; they hold the secrets."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        self.address = address.rstrip("/")
        self.last = ""  # what was asked last, and how the answer begins
        self._client = httpx.Client(
            base_url=self.address, headers=dict(headers), timeout=30, mounts=DIRECT
        )

    def ask(self, method: str, path: str, body: Any = None, *, missing: Any = ...) -> Any:
        """The JSON answer to a request, None where it has none.

        A 404 is answered with `missing` where that is given. Raises ApiError.
        """
        try:
            answer = self._sent(method, path, body)
        except _TemporaryError as error:
            answer = error.answer
        except httpx.HTTPError as error:
            raise ApiError(
                f"{method} {self.address}{path}: {error or type(error).__name__}; "
                "is the address right, and reachable from here?"
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND and missing is not ...:
            return missing
        if answer.is_error:
            raise ApiError(_refusal(method, f"{self.address}{path}", answer))
        self.last = f"{method} {self.address}{path}: {answer.status_code} {_beginning(answer)}"
        try:
            return answer.json() if answer.content.strip() else None
        except ValueError as error:
            said = _refusal(method, f"{self.address}{path}", answer)
            raise ApiError(f"{said}; expected JSON: is the address right?") from error

    @tenacity.retry(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=_wait,
        reraise=True,
    )
    def _sent(self, method: str, path: str, body: Any) -> httpx.Response:
        answer = self._client.request(method, path, json=body)
        if answer.status_code in TEMPORARY:
            raise _TemporaryError(answer)
        return answer

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()


def _refusal(method: str, url: str, answer: httpx.Response) -> str:
    said = " ".join(answer.text.split())[:500]
    what = f"{method} {url}: {answer.status_code} {said}"
    if answer.status_code in (401, 403):
        return f"{what}; the key or token lacks the right to do this"
    return what


def _beginning(answer: httpx.Response) -> str:
    return answer.content[:_SHOWN_BYTES].decode("utf-8", "replace").strip() or "without a body"
