"""A headless Chromium: opens pages, tells what they asked for and complained of, takes pictures.

It speaks the DevTools protocol over a pipe, so it needs no port and ends when we do:
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from otel_accubooks.stack.process import StartError

if TYPE_CHECKING:
    from typing_extensions import Self

_ANSWER_SECONDS = 60.0
_POLL_SECONDS = 0.2
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--no-proxy-server", "--disable-background-networking"),
    *("--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe"),
    # No other host can be reached, not even its name be asked for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium() -> str:
    """The one that CHROMIUM names, or on PATH. Raises StartError where there is none."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found is None:
        raise StartError("there is no Chromium: apt-get install chromium, or name one in CHROMIUM")
    return found


class Chromium:
    """One browser with one page, its profile in `folder`.

    `requests` holds every address that was asked for, `complaints` errors and warnings of the
    console, what the content policy refused among them.
    """

    def __init__(self, folder: Path, *, width: int = 1440, height: int = 900) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._number = 0
        self._unread = b""
        here, self._write = os.pipe()
        self._read, there = os.pipe()
        # Chromium reads at descriptor 3 and writes at 4.
        script = f'exec "$0" "$@" 3<&{here} 4>&{there}'
        size = f"--window-size={width},{height}"
        argv = [find_chromium(), *_FLAGS, size, f"--user-data-dir={folder}", "about:blank"]
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", script, *argv],
                pass_fds=(here, there), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        os.close(here)
        os.close(there)
        self._session = ""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        attached = self.tell("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.tell(f"{domain}.enable")
        self.size(width, height)

    def size(self, width: int, height: int) -> None:
        """The size of the page in CSS pixels."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def open(self, url: str) -> None:
        """Goes to an address, and waits until its own page is loaded."""
        self.value("window.former = true")
        self.tell("Page.navigate", url=url)
        self.wait_for("!window.former && document.readyState === 'complete'")

    def value(self, script: str) -> Any:
        """What a JavaScript expression is worth in the page. Raises RuntimeError if it fails."""
        answer = self.tell("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = _ANSWER_SECONDS) -> None:
        """Until a JavaScript expression is true. Raises TimeoutError."""
        give_up = time.monotonic() + seconds
        while not self.value(script):
            if time.monotonic() > give_up:
                raise TimeoutError(f"not true after {seconds:g} s: {script}")
            time.sleep(_POLL_SECONDS)

    def picture(self) -> bytes:
        """The page as it is seen, a PNG."""
        return base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"])

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command of the protocol. Raises RuntimeError with its error."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._number:
                break
            self._notice(said)
        if "error" in said:
            raise RuntimeError(f"Chromium: {method}: {said['error']['message']}")
        result: dict[str, Any] = said["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._read], [], [], _ANSWER_SECONDS)
            more = os.read(self._read, 1 << 20) if ready else b""
            if not more:
                raise StartError("Chromium ended or says nothing; see the log beside its profile")
            self._unread += more
        first, _, self._unread = self._unread.partition(b"\0")
        said: dict[str, Any] = json.loads(first)
        return said

    def _notice(self, said: dict[str, Any]) -> None:
        method, params = said.get("method"), said.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            words = (str(a.get("value", a.get("description", ""))) for a in params["args"])
            self.complaints.append(" ".join(words))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))

    def close(self) -> None:
        """Ends the browser."""
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
