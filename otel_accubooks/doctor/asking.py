"""One HTTP request of a server that may be anything: the answer, or what went wrong, by its kind."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib import request as urllib_request

import httpx

SECONDS = 5.0
_LONGEST = 8_000_000  # characters; a gateway's page of metrics must stay whole
_bypass: Any = vars(urllib_request)["proxy_bypass_environment"]  # which its stubs lack
Trouble = Literal["", "name", "refused", "timeout", "certificate", "tls", "protocol", "address"]


@dataclass(frozen=True)
class Answer:
    """`status` is 0 where there was none, and `trouble` why. `apart` is the server's clock less ours,
    in seconds; None where it tells no time.
    """

    status: int = 0
    text: str = ""
    trouble: Trouble = ""
    said: str = ""
    apart: float | None = None
    headers: Mapping[str, str] | None = None


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    certificate: str = "",
    shown: tuple[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Answer:
    """Asks once, `SECONDS` at most for each step; redirects are not followed. Never raises.

    `certificate` is a file with whom to trust, `shown` are a client's certificate and key, `env` is
    the environment whose proxies are used.
    """
    try:
        trusted = ssl.create_default_context(cafile=certificate) if certificate else True
        if shown is not None:
            trusted = ssl.create_default_context(cafile=certificate or None)
            trusted.load_cert_chain(*shown)
        with httpx.Client(
            verify=trusted, trust_env=False, timeout=SECONDS, proxy=proxy_of(url, env or {})
        ) as client:
            before = time.time()
            answer = client.request(method, url, headers=dict(headers or {}), content=content)
            after = time.time()
    except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Answer(trouble=_trouble(error), said=str(error) or type(error).__name__)
    return Answer(
        answer.status_code,
        answer.text[:200_000],
        headers={name.lower(): value for name, value in answer.headers.items()},
        apart=_apart(answer.headers.get("date", ""), before, after),
    )


def _apart(date: str, before: float, after: float) -> float | None:
    try:
        there = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
    # The date has whole seconds: it was between `there` and one more, and we between our two.
    if there > after:
        return there - after
    return min(0.0, there + 1 - before)


def proxy_of(url: str, env: Mapping[str, str]) -> str | None:
    """The HTTP proxy by which `env` reaches `url`; None where it is reached directly."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    excluded = env.get("no_proxy") or env.get("NO_PROXY") or ""
    name = f"{scheme}_proxy"
    proxy = env.get(name) or env.get(name.upper()) or env.get("all_proxy") or env.get("ALL_PROXY")
    if not proxy or _bypass(host, {"no": excluded}):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _trouble(error: Exception) -> Trouble:
    text = str(error).lower()
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return "address"
    if isinstance(error, FileNotFoundError) or "certificate verify failed" in text:
        return "certificate"
    if "wrong_version_number" in text or "wrong version number" in text or "ssl" in text:
        return "tls"
    if isinstance(error, httpx.ConnectError):
        lost = ("name or service", "nodename", "resolution", "getaddrinfo", "no address")
        return "name" if any(word in text for word in lost) else "refused"
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    return "protocol" if isinstance(error, httpx.ProtocolError) else "refused"
