"""What a page promises beyond that its commands go well, looked at once it was read to its end."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from tests.docs.reading import Reading
from tests.docs.stand import Stand

REQUESTS = 20
ARRIVAL_SECONDS = 60.0


def readme(reading: Reading, stand: Stand) -> None:
    """Five lines start an application whose requests arrive; rendered, applied and shown in three."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        for _ in range(REQUESTS):
            assert client.get(f"http://127.0.0.1:{reading.port(8000)}/").text == "hi"
        assert client.get(f"http://127.0.0.1:{reading.port(8050)}/").status_code == 200
    counted = f'sum(http_requests_total{{job="shop", route="/"}}) == {REQUESTS}'
    give_up = time.monotonic() + ARRIVAL_SECONDS
    while not stand.query(counted):
        assert time.monotonic() < give_up, f"not in Prometheus: {counted}"
        time.sleep(0.2)
    rendered = reading.system / "etc" / "prometheus" / "accubooks"
    files = {str(path.relative_to(rendered)) for path in rendered.rglob("*") if path.is_file()}
    assert files == {"alertmanager.yml", "rules/accubooks.yml"}
    assert not stand.datadog_account.monitors, "a dry run has changed the account"


PROOFS: dict[str, Callable[[Reading, Stand], None]] = {"README.md": readme}
