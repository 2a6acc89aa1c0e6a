"""Free ports, and whether something answers on one. Everything is on the loopback address."""

from __future__ import annotations

import http.client
import socket
import urllib.request

LOOPBACK = "127.0.0.1"

_handed_out: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1, free for TCP and UDP, that this process was not given before."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind((LOOPBACK, 0))
            port: int = tcp.getsockname()[1]
            # The kernel may offer a port again before its first taker has bound it.
            if port in _handed_out:
                continue
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind((LOOPBACK, port))
                except OSError:
                    continue
        _handed_out.add(port)
        return port


def http_ok(url: str, timeout: float = 1.0) -> bool:
    """True if a GET of `url` is answered with 2xx within `timeout` seconds. Never raises."""
    # Proxies of the environment must not be asked for a loopback address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as response:
            return 200 <= int(response.status) < 300
    # HTTPException: a server that is half up may answer nonsense.
    except (OSError, http.client.HTTPException):
        return False


def tcp_open(port: int, timeout: float = 1.0) -> bool:
    """True if 127.0.0.1 accepts a TCP connection on `port`. Never raises."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout):
            return True
    except OSError:
        return False
