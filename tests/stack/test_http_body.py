"""Bodies are read within bounds, in every coding that clients use."""

from __future__ import annotations

import gzip
import io
import zlib
from email.message import Message

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from otel_accubooks.stack.http_body import BadBody, Limits, read_body

WIDE = Limits(sent=1_000_000, decoded=1_000_000)
CODERS = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


def read(sent: bytes, limits: Limits = WIDE, **headers: str) -> bytes:
    message = Message()
    if "Transfer_Encoding" not in headers:
        message["Content-Length"] = str(len(sent))
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return read_body(io.BytesIO(sent), message, limits)


@pytest.mark.parametrize("coding", CODERS)
@given(body=st.binary(max_size=20_000))
def test_what_a_client_encoded_is_read_back(coding: str, body: bytes) -> None:
    """Every coding gives back the bytes that went in."""
    assert read(CODERS[coding](body), Content_Encoding=coding) == body


def test_a_frame_without_a_length_is_read() -> None:
    """A zstd stream that does not announce its size, as streaming clients send it, is read."""
    writer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    sent = writer.compress(b"x" * 50_000) + writer.flush()
    assert read(sent, Content_Encoding="zstd") == b"x" * 50_000


def test_chunks_are_put_together() -> None:
    """A chunked body is read up to its last chunk, trailers included."""
    sent = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
    assert read(sent, Transfer_Encoding="chunked") == b"abc0123456789"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused(coding: str) -> None:
    """What decompresses to more than the limit is refused with 413."""
    with pytest.raises(BadBody) as refused:
        read(CODERS[coding](bytes(50_000_000)), Content_Encoding=coding)
    assert refused.value.status == 413


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("spoil", [lambda sent: sent[:-5], lambda sent: b"no" + sent])
def test_a_spoilt_body_is_refused(coding: str, spoil) -> None:
    """A body that ends early or is something else is refused with 400."""
    with pytest.raises(BadBody) as refused:
        read(spoil(CODERS[coding](b"a body" * 100)), Content_Encoding=coding)
    assert refused.value.status == 400


@pytest.mark.parametrize("headers", [{}, {"Transfer_Encoding": "chunked"}])
def test_a_body_that_is_too_large_is_not_even_read(headers: dict[str, str]) -> None:
    """A length above the limit is refused with 413, however it is announced."""
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (2000, bytes(2000)) if headers else bytes(2000)
    with pytest.raises(BadBody) as refused:
        read(sent, Limits(sent=1000, decoded=10_000), **headers)
    assert refused.value.status == 413


def test_an_unknown_coding_is_refused() -> None:
    """A coding that nobody here knows is refused with 415 and its name."""
    with pytest.raises(BadBody, match="'br'") as refused:
        read(b"x", Content_Encoding="br")
    assert refused.value.status == 415
