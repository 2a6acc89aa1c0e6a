"""What answers at the receiver's address: read within limits, and put into words where it is wrong."""

from __future__ import annotations

import ssl
from logging import getLogger
from socket import gaierror
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from otel_accubooks.export.session import Session
from otel_accubooks.export.settings import LONGEST_ANSWER_SECONDS

_log = getLogger(__name__)

MOST_BYTES = 64 * 1024
_ADDRESS = "set OTEL_EXPORTER_OTLP_ENDPOINT to the address of a collector"
_TO_DO = {
    400: "what is there does not take OTLP, or not this version of it",
    401: "set OTEL_EXPORTER_OTLP_HEADERS to what it lets in",
    403: "set OTEL_EXPORTER_OTLP_HEADERS to what it lets in",
    404: f"no OTLP over HTTP is taken there: {_ADDRESS}",
    405: f"no OTLP over HTTP is taken there: {_ADDRESS}",
    413: "let it take larger requests (the collector's max_request_body_size)",
    429: "it has no room, or too many send to it",
    503: "it has no room, or what is behind it is down",
}


class NoReceiver(Exception):
    """Something answered that is no receiver: nothing was taken."""


class EndlessAnswer(Exception):
    """An answer that is longer, or takes longer, than any receiver's."""


class AnswerAdapter(HTTPAdapter):
    """Sends as usual; no answer can fill the memory, go on for ever, or be taken for a receiver's.

    What is wrong is a warning, before the exporter's own, which do not say it.
    """

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Sends one request. Raises NoReceiver, EndlessAnswer, or what requests raises."""
        limit = LONGEST_ANSWER_SECONDS
        if isinstance(seconds := kwargs.get("timeout"), float | int):
            limit = min(limit, seconds)
        kwargs |= {"stream": True, "timeout": limit}
        try:
            response = super().send(request, *args, **kwargs)
            _read(response, limit)
            _check(response)
        except Exception as error:
            _log.warning("%s", in_words(error, limit))
            raise
        if not response.ok:
            expected = _TO_DO.get(response.status_code, "expected 200")
            _log.warning("it answered %s %s: %s", response.status_code, response.reason, expected)
        return response


def _read(response: requests.Response, seconds: float) -> None:
    give_up = monotonic() + seconds
    content = bytearray()
    # Byte by byte, since a larger piece would be waited for; an answer has few.
    try:
        while part := response.raw.read(1, decode_content=False):
            content += part
            if len(content) > MOST_BYTES or monotonic() > give_up:
                response.close()
                raise EndlessAnswer
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    response._content = bytes(content)
    response._content_consumed = True
    response.raw.release_conn()


def _check(response: requests.Response) -> None:
    if 300 <= response.status_code < 400:
        parts = urlsplit(response.headers.get("Location", ""))
        where = f" to {parts.scheme}://{parts.hostname}" if parts.hostname else ""
        raise NoReceiver(f"it answered {response.status_code}, a redirection{where}: {_ADDRESS}")
    kind = response.headers.get("Content-Type", "")
    if response.ok and kind.startswith("text/html") and response.content.lstrip()[:1] == b"<":
        raise NoReceiver(f"it answered with a web page, expected an OTLP receiver: {_ADDRESS}")


def in_words(error: BaseException, seconds: float) -> str:
    """What went wrong, what was expected, what to do; `seconds` is how long was waited."""
    if isinstance(error, NoReceiver):
        return str(error)
    if isinstance(error, EndlessAnswer):
        return f"its answer has no end, expected a short one of an OTLP receiver: {_ADDRESS}"
    cause = error
    while (inner := cause.__cause__ or cause.__context__ or _wrapped(cause)) is not None:
        cause = inner
    if isinstance(error, requests.Timeout) or isinstance(cause, TimeoutError):
        return f"no answer within {seconds:.3g} s: it hangs, or something in between drops it"
    return _of_connection(cause)


def _wrapped(error: BaseException) -> BaseException | None:
    first = error.args[0] if error.args else None
    return first if isinstance(first, BaseException) else None


def _of_connection(cause: BaseException) -> str:
    if isinstance(cause, gaierror):
        return f"that name cannot be resolved ({cause.strerror}): {_ADDRESS}"
    if isinstance(cause, ssl.SSLError):
        return _of_tls(cause)
    if isinstance(cause, ConnectionRefusedError):
        return f"nothing listens there (connection refused): start the collector, or {_ADDRESS}"
    if isinstance(cause, OSError) and cause.strerror:
        return f"{cause.strerror}, expected a connection to a collector"
    return f"its answer is no HTTP ({type(cause).__name__}), expected an OTLP receiver: {_ADDRESS}"


def _of_tls(cause: ssl.SSLError) -> str:
    why = cause.reason or type(cause).__name__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its certificate is refused ({cause.verify_message}): have it renewed, or name the "
            "authority to trust by OTEL_EXPORTER_OTLP_CERTIFICATE"
        )
    if isinstance(cause, ssl.SSLEOFError) or "ALERT" in why:
        return (
            f"it ends the TLS handshake ({why}): it may want another certificate than that of "
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
        )
    return (
        f"TLS failed ({why}): OTEL_EXPORTER_OTLP_CERTIFICATE names the certificate to expect; "
        "http:// is without TLS"
    )


def answering_session() -> requests.Session:
    """A session whose answers are read as `AnswerAdapter` says."""
    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, AnswerAdapter())
    return session
