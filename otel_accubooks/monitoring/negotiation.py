"""What a client takes: formats and compression, by its Accept headers (RFC 9110, section 12)."""

from __future__ import annotations

from collections.abc import Iterator

OPENMETRICS_VERSIONS = ("1.0.0", "0.0.1")


def openmetrics_version(accept: str) -> str | None:
    """The version of OpenMetrics to answer with, or None where Prometheus text is liked better."""
    best, chosen, text = 0.0, None, 0.0
    for name, parameters, quality in _choices(accept):
        if name == "application/openmetrics-text":
            version = parameters.get("version", OPENMETRICS_VERSIONS[0])
            if version in OPENMETRICS_VERSIONS and quality > best:
                best, chosen = quality, version
        elif name == "text/plain":
            text = max(text, quality)
    return chosen if best >= text else None


def is_scrape(accept: str) -> bool:
    """True for a Prometheus, which cannot read anything but its own formats."""
    return any(
        name == "application/openmetrics-text" or (name == "text/plain" and "version" in parameters)
        for name, parameters, quality in _choices(accept)
        if quality > 0.0
    )


def takes_gzip(accept_encoding: str) -> bool:
    """True where an answer may be compressed."""
    qualities = {name: quality for name, _, quality in _choices(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0.0


def _choices(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for choice in header.lower().split(","):
        name, *rest = (part.strip() for part in choice.split(";"))
        pairs = (part.partition("=") for part in rest)
        parameters = {key.strip(): value.strip(' "') for key, _, value in pairs}
        try:
            quality = float(parameters.get("q", 1.0))
        except ValueError:
            quality = 0.0
        yield name, parameters, quality
