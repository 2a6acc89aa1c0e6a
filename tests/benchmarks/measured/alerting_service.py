"""A service of its own that goes wrong when it is told to: `opentelemetry-instrument python` this file.

A line on standard input begins it, and it goes on going wrong until standard input ends.
"""

from __future__ import annotations

import select
import sys
import time

from flask import Flask, abort

from otel_accubooks import business

AGAIN_SECONDS = 20.0
ERRORS = 60
LIMIT_HITS = 1000

app = Flask(__name__)


@app.get("/wrong")
def wrong() -> None:
    """Fails."""
    abort(500)


def go_wrong() -> None:
    """A calculation that went wrong, many who met their limit, and requests that end with 500."""
    business.count("calculation_errors_total", kind="balance")
    business.count("tier_limit_hits_total", LIMIT_HITS, tier="FREE", limit_type="scenarios")
    for _ in range(ERRORS):
        app.test_client().get("/wrong")


business.count("support_tickets_total", priority="low")  # as anything that has run for a while
print("ready", flush=True)
sys.stdin.readline()
while True:
    began = time.time()
    go_wrong()
    print(began, flush=True)
    if select.select([sys.stdin], [], [], AGAIN_SECONDS)[0]:
        break
