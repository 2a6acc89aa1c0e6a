"""What the stand-ins for those who are told of alerts have in common: JSON in, kept in its order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from otel_accubooks.stack.http_body import BadBody, Limits
from otel_accubooks.stack.sink import Reply, Request, Sink

MEGABYTE = 1024 * 1024


class Notification(BaseModel):
    """A notification as its receiver's documentation describes it.

    A field that is not documented is refused: a receiver that drops it does not show it either.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class NotAccepted(ValueError):
    """What does not follow the format; `problems` has one line for each field."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


N = TypeVar("N", bound=BaseModel)


class NotificationSink(Sink, Generic[N]):
    """A sink that keeps every notification that it accepted."""

    limits = Limits(MEGABYTE, MEGABYTE)

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self._taken: list[N] = []

    def taken(self) -> list[N]:
        """What was accepted so far, in the order of its coming."""
        with self.lock:
            return list(self._taken)

    def take(self, notification: N) -> None:
        """Keep one."""
        with self.lock:
            self._taken.append(notification)

    def snapshot(self, name: str | None = None) -> list[dict[str, Any]]:  # noqa: ARG002
        return [one.model_dump(mode="json", exclude_none=True) for one in self.taken()]

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        return Reply(status, {"message": reason})


def read_as(kind: type[N], request: Request, **more: Any) -> N:
    """The JSON body, with `more` fields, as a `kind`. Raises BadBody 415, or NotAccepted."""
    import json

    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told != "application/json":
        raise BadBody(415, f"Content-Type is {told!r}: expected application/json")
    try:
        content = json.loads(request.body)
        if not isinstance(content, dict):
            raise NotAccepted(["the body is no JSON object"])
        return kind.model_validate(content | more)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}"
            for one in error.errors(include_url=False)
        ]
        raise NotAccepted(problems) from error
    except ValueError as error:
        if isinstance(error, NotAccepted):
            raise
        raise NotAccepted([f"the body is no JSON: {error}"]) from error
