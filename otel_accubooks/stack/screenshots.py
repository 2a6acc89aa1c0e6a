"""Pictures of the dashboards, as the built-in viewer shows them: docs/screenshots is made so.

    python -m otel_accubooks.stack.screenshots docs/screenshots

starts the example with everything around it, lets people use it for some minutes, and looks.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from pathlib import Path

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.stack.chromium import Chromium
from otel_accubooks.stack.deployment import Deployment
from otel_accubooks.stack.people import people
from otel_accubooks.stack.viewer import Viewer

RUNBOOKS = "https://example.com/runbooks"
WIDTH, HEIGHT = 1440, 900
# The page is there, and each of its panels has been given something to show.
FILLED = (
    "document.querySelector('.card') && "
    "[...document.querySelectorAll('.card .below')].every(part => part.children.length)"
)
_SETTLE_SECONDS = 2.0


def take(viewer: str, folder: Path, browser: Chromium) -> list[Path]:
    """A picture of each dashboard of the viewer at that address; the files, by dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for dashboard in DASHBOARDS:
        browser.size(WIDTH, HEIGHT)
        browser.open(f"{viewer}/{dashboard.name}")
        browser.wait_for(FILLED)
        # The whole page, however long.
        browser.size(WIDTH, max(HEIGHT, browser.value("document.body.scrollHeight")))
        time.sleep(_SETTLE_SECONDS)
        files.append(folder / f"{dashboard.name}.png")
        files[-1].write_bytes(browser.picture())
    return files


def main(folder: str, minutes: str = "5") -> None:
    """Runs the example for so many minutes, and takes the pictures into the folder."""
    play = people().play
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        with Deployment(here, ("prometheus",)) as deployment:
            deployment.start(print)
            assert deployment.prometheus is not None
            end, seed = time.monotonic() + 60 * float(minutes), 0
            while time.monotonic() < end:
                seed += 1
                play(deployment.url, rounds=1, seed=seed, redis_url=deployment.redis.url)
                # Sometimes more of them come, sometimes fewer.
                time.sleep(5 + 4 * math.sin(seed / 9))
            with (
                Viewer(here, deployment.prometheus.url, runbooks=RUNBOOKS) as viewer,
                Chromium(here / "chromium", width=WIDTH, height=HEIGHT) as browser,
            ):
                for file in take(viewer.url, Path(folder), browser):
                    print(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
