"""Reads the body of an HTTP request within bounds: by length or in chunks, and decompressed."""

from __future__ import annotations

import gzip
import io
import zlib
from email.message import Message
from typing import BinaryIO, NamedTuple

LONGEST_CHUNK_LINE = 1024


class Limits(NamedTuple):
    """The most bytes that a body may have: as it was sent, and decompressed."""

    sent: int
    decoded: int


class BadBody(ValueError):
    """A body that cannot be taken; `status` is the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read_body(stream: BinaryIO, headers: Message, limits: Limits) -> bytes:
    """The decompressed body. Raises BadBody: 400 malformed, 413 too large, 415 unknown coding."""
    return decode(_read_sent(stream, headers, limits.sent), headers, limits.decoded)


def decode(sent: bytes, headers: Message, limit: int) -> bytes:
    """`sent`, decompressed as its Content-Encoding says, to at most `limit` bytes, or BadBody."""
    encoding = (headers.get("Content-Encoding") or "identity").strip().lower()
    try:
        decoded = _decompress(sent, encoding, limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadBody(400, f"the body is not {encoding}: {error}") from error
    if len(decoded) > limit:
        raise BadBody(413, f"the decompressed body has more than {limit} bytes")
    return decoded


def _decompress(sent: bytes, encoding: str, at_most: int) -> bytes:
    if encoding in ("identity", ""):
        return sent
    if encoding == "gzip":
        with gzip.GzipFile(fileobj=io.BytesIO(sent)) as file:
            return file.read(at_most)
    if encoding == "deflate":
        inflater = zlib.decompressobj()
        decoded = inflater.decompress(sent, at_most)
        if not inflater.eof and len(decoded) < at_most:
            raise EOFError("it ends too early")
        return decoded
    if encoding == "zstd":
        return _decompress_zstd(sent, at_most)
    raise BadBody(415, f"Content-Encoding {encoding!r}: expected identity, gzip, deflate or zstd")


def _decompress_zstd(sent: bytes, at_most: int) -> bytes:
    import zstandard

    inflater = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
    decoded = io.BytesIO()
    try:
        # In small steps, so that a bomb is noticed after its first megabytes.
        for start in range(0, len(sent), 4096):
            decoded.write(inflater.decompress(sent[start : start + 4096]))
            if inflater.eof or decoded.tell() >= at_most:
                break
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error
    if not inflater.eof and decoded.tell() < at_most:
        raise EOFError("it ends too early")
    return decoded.getvalue()[:at_most]


def _read_sent(stream: BinaryIO, headers: Message, limit: int) -> bytes:
    if (headers.get("Transfer-Encoding") or "").lower() == "chunked":
        return _read_chunks(stream, limit)
    text = headers.get("Content-Length") or "0"
    if not text.isdecimal():
        raise BadBody(400, f"Content-Length is {text!r}: expected a number")
    return _read_exactly(stream, _bounded(int(text), limit))


def _read_chunks(stream: BinaryIO, limit: int) -> bytes:
    body = bytearray()
    while True:
        line = stream.readline(LONGEST_CHUNK_LINE).split(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise BadBody(400, f"a chunk's size is {line!r}: expected a hex number") from None
        if size == 0:
            while stream.readline(LONGEST_CHUNK_LINE).strip():
                pass  # trailers
            return bytes(body)
        _bounded(len(body) + size, limit)
        body += _read_exactly(stream, size)
        stream.readline(LONGEST_CHUNK_LINE)


def _bounded(size: int, limit: int) -> int:
    if size > limit:
        raise BadBody(413, f"the body has {size} bytes: at most {limit} are taken")
    return size


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise BadBody(400, f"the body ends after {len(body)} of {size} bytes")
    return body
