"""Whether a message arrived in a channel of Slack: looked up in the channel itself.

Source: https://docs.slack.dev/reference/methods/conversations.history. The token (SLACK_TOKEN) needs
channels:read and channels:history, for a private channel groups:read and groups:history, and its app
has to be a member of the channel.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from otel_accubooks.servers.api import Api
from otel_accubooks.trial.station import AHEAD_SECONDS, Trial, Unreadable

TOKEN = "SLACK_TOKEN"  # noqa: S105
# Slack lets an app ask about fifty times a minute.
EVERY_SECONDS = 3.0


class Channel:
    """The channel called `name`, as whoever has the token sees it."""

    def __init__(self, api: str, name: str, environ: Mapping[str, str]) -> None:
        token = environ.get(TOKEN)
        self._api = Api(api, {"Authorization": f"Bearer {token}"}) if token else None
        self.name = f"#{name.removeprefix('#')}"
        self._id: str | None = None
        self._asked = 0.0
        self._texts: list[str] = []

    def found(self, trial: Trial, *, over: bool = False) -> str | None:
        """How the message of `trial` was seen; with `over`, the one that says so.

        Raises Unreadable, or ApiError.
        """
        if self._api is None:
            raise Unreadable(f"{TOKEN} is not set, so that {self.name} cannot be read")
        if time.monotonic() - self._asked >= EVERY_SECONDS:
            self._texts = list(self._read(trial))
            self._asked = time.monotonic()
        count = sum(trial.told(text, over=over) for text in self._texts)
        if not count:
            return None
        times = f", {count} times" if count > 1 else ""
        return f"read in {self.name}{times}"

    def _read(self, trial: Trial) -> Iterator[str]:
        asked = {
            "channel": self._found_id(),
            "oldest": f"{trial.began - AHEAD_SECONDS:.6f}",
            "limit": "100",
        }
        for message in self._ask("conversations.history", asked).get("messages", ()):
            parts = message.get("attachments") or ()
            yield " ".join(
                [message.get("text", ""), *(p.get("title") or p.get("fallback", "") for p in parts)]
            )

    def _found_id(self) -> str:
        if self._id is None:
            self._id = next((id_ for name, id_ in self._channels() if name == self.name), None)
        if self._id is None:
            raise Unreadable(
                f"the token of {TOKEN} sees no channel {self.name}: invite its app to the channel, "
                "or correct slack_channel and slack_info_channel"
            )
        return self._id

    def _channels(self) -> Iterator[tuple[str, str]]:
        cursor = ""
        while True:
            asked = {"types": "public_channel,private_channel", "limit": "200"}
            asked |= {"exclude_archived": "true"} | ({"cursor": cursor} if cursor else {})
            answer = self._ask("conversations.list", asked)
            for channel in answer.get("channels", ()):
                yield f"#{channel['name']}", channel["id"]
            cursor = answer.get("response_metadata", {}).get("next_cursor", "")
            if not cursor:
                return

    def _ask(self, method: str, asked: Mapping[str, str]) -> Any:
        assert self._api is not None
        answer = self._api.ask("GET", f"/{method}?{urlencode(asked)}")
        if not isinstance(answer, dict) or not answer.get("ok"):
            error = answer.get("error") if isinstance(answer, dict) else "no JSON object"
            needed = answer.get("needed") if isinstance(answer, dict) else None
            wants = f", it needs {needed}" if needed else ""
            raise Unreadable(f"Slack refuses {method} with {TOKEN}: {error}{wants}")
        return answer

    def close(self) -> None:
        """Ends the connections."""
        if self._api is not None:
            self._api.close()
