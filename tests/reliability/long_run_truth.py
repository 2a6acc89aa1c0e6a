"""gunicorn's configuration: the server itself notes each request that it answered.

Nothing of what is measured has a part in it. One line for each request: process, method, status.
"""

from __future__ import annotations

import os
from typing import Any

# Appending a line of this size is atomic, whichever worker does it.
_account = os.open(os.environ["LONG_RUN_ACCOUNT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_NOT_TRAFFIC = ("/api/monitoring", "/api/metrics")


def post_request(worker: Any, req: Any, environ: dict[str, Any], resp: Any) -> None:
    """Called by gunicorn's worker once the answer is out."""
    if not req.path.startswith(_NOT_TRAFFIC):
        os.write(_account, f"{worker.pid} {req.method} {resp.status_code}\n".encode())
