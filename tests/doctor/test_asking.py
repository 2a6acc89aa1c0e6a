"""One request, and what went wrong with it."""

from __future__ import annotations

import pytest

from otel_accubooks.doctor.asking import ask
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import free_port


def test_trouble_has_a_name() -> None:
    """Nobody there, no such name, the wrong protocol, and no address at all are told apart."""
    with OtlpReceiver() as sink:
        assert ask("GET", f"{sink.url}/").status == 404
        assert ask("GET", sink.url.replace("http:", "https:")).trouble == "tls"
        sink.fail("reset")
        assert ask("GET", sink.url).trouble in ("protocol", "refused")
    assert ask("GET", f"http://127.0.0.1:{free_port()}").trouble == "refused"
    assert ask("GET", "ftp://127.0.0.1").trouble == "address"
    assert ask("GET", "https://127.0.0.1", certificate="/nowhere.pem").trouble == "certificate"


@pytest.mark.parametrize(("excluded", "trouble"), [("", "refused"), ("127.0.0.1", "")])
def test_proxies_of_the_environment(excluded: str, trouble: str) -> None:
    """They are those of the application, and NO_PROXY is heeded."""
    env = {"http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": excluded}
    with OtlpReceiver() as sink:
        assert ask("GET", sink.url, env=env).trouble == trouble


def test_a_clock_that_agrees() -> None:
    """The date of an answer has whole seconds, and is no reason for suspicion."""
    with OtlpReceiver() as sink:
        apart = ask("GET", sink.url).apart
    assert apart is not None
    assert abs(apart) <= 1
