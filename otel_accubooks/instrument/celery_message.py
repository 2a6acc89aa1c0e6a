"""Celery's messages: when each could first be taken, and which queue it came from."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from typing import Any

from otel_accubooks.instrument.celery_queue import READY_AT, watch
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches

_REMEMBERED = 512
_queues: dict[tuple[int, str, str], str] = {}


def queue_of(app: Any, delivery: Any) -> str:
    """The name of the queue that a message was delivered from, by Celery's delivery_info of it.

    A message says by which exchange and key it came; which queue is bound to them, the
    application's configuration knows.
    """
    exchange, key = delivery.get("exchange") or "", delivery.get("routing_key") or ""
    if not exchange:
        return str(key)  # the default exchange leads to the queue of that name
    known = _queues.get((id(app), exchange, key))
    if known is None:
        if len(_queues) >= _REMEMBERED:
            _queues.clear()
        known = _queues[id(app), exchange, key] = _bound(app.amqp.queues, exchange, key)
    return known


def _bound(queues: Any, exchange: str, key: str) -> str:
    consumed = list(queues.consume_from.values())
    for queue in [*consumed, *list(queues.values())]:
        ways = [(queue.exchange, queue.routing_key)]
        ways += [(binding.exchange, binding.routing_key) for binding in queue.bindings or ()]
        if any(_leads(way, pattern or "", exchange, key) for way, pattern in ways):
            return name_of(queue)
    return str(key or exchange)


def _leads(way: Any, pattern: str, exchange: str, key: str) -> bool:
    """True if what is published to `exchange` with `key` goes by the exchange `way` and `pattern`."""
    if way is None or way.name != exchange:
        return False
    if way.type != "topic":
        return way.type == "fanout" or pattern == key
    # Words between dots: * is one of them, # any number.
    parts = [{"*": r"[^.]+", "#": r".*"}.get(word, re.escape(word)) for word in pattern.split(".")]
    text = r"\.".join(parts).replace(r"\..*", r"(\..*)?").replace(r".*\.", r"(.*\.)?")
    return re.fullmatch(text, key) is not None


def name_of(queue: Any) -> str:
    """What a queue is called: a broadcast's own name, not that of each worker's copy."""
    return str(queue.alias or queue.name)


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    def _create_task_sender(self: Any) -> Any:
        send = original(self)
        try:
            return _marking(self, send)
        except Exception:
            failed("marking Celery messages")
        return send

    return _create_task_sender


def _marking(amqp: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def send_task_message(producer: Any, name: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if READY_AT in (kwargs.get("headers") or ()):  # a message that is sent on, or again
                kwargs["headers"] = {**kwargs["headers"]}
                del kwargs["headers"][READY_AT]
            if "task" in message.headers:  # of the protocol that has a place for headers
                message.headers[READY_AT] = _ready_at(amqp.app, message.headers.get("eta"))
        except Exception:
            failed("marking a Celery message")
        result = original(producer, name, message, *args, **kwargs)
        try:
            queue = _fed(amqp.app, kwargs)
            if queue:
                watch(amqp.app, producer.channel, queue)
        except Exception:
            failed("watching a queue")
        return result

    return send_task_message


def _ready_at(app: Any, eta: Any) -> float:
    now = time.time()
    if not eta:
        return now
    from celery.utils.time import maybe_iso8601, maybe_make_aware

    return max(now, float(maybe_make_aware(maybe_iso8601(eta), app.timezone).timestamp()))


def _fed(app: Any, given: dict[str, Any]) -> str:
    """The name of the queue that a message with these options goes to, or "" where a broker decides."""
    if given.get("exchange") and given.get("routing_key"):
        return ""
    queue = given.get("queue") or app.conf.task_default_queue
    return str(getattr(queue, "name", queue))


def instrument(module: Any) -> Patches:
    """Marks every task message that this process sends; `module` is celery.app.amqp."""
    patches = Patches()
    patches.wrap(module.AMQP, "_create_task_sender", _sending)
    return patches
