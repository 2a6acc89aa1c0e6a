"""The methods of pools, measured: what gives a connection, and what takes it back."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Wrapper
from otel_accubooks.instrument.pools import Checkout, Kind, pools, quick

Method = Callable[..., Any]


def measured_checkout(kind: Kind, name: str = "", checkouts: set[Method] | None = None) -> Wrapper:
    """For the method of a pool that gives a connection.

    Where there are several, one inside the other, all are in `checkouts` and called `name`; the
    outermost measures.
    """

    def wrapper(original: Method) -> Method:
        def checkout(self: Any, *args: Any, **kwargs: Any) -> Any:
            if checkouts is not None:
                outermost = getattr(type(self), name)
                if outermost is not checkout and outermost in checkouts:
                    return original(self, *args, **kwargs)
            try:
                # The everyday case, with few calls: a pool that is not used up.
                usual = quick.get(id(self))
                if usual is not None:
                    reference, (watched, _), noted, taken, most, show, wait = usual
                    if len(taken) >= most or reference() is not self:
                        usual = None
                begun: Checkout = usual.begun if usual is not None else pools.begins(self, kind)
            except Exception:
                failed("recording a checkout")
                usual, begun = None, (None, None)
            began = perf_counter()
            try:
                # Without arguments in half the time of one that passes them on.
                connection = original(self, *args, **kwargs) if args or kwargs else original(self)
            except BaseException as error:
                pools.ended(self, begun, began, error)
                raise
            try:
                if usual is not None and noted is not None:
                    noted(connection)
                    usual = None if watched.ignored else usual
                if usual is None or getattr(self, "closed", False):
                    pools.ended(self, begun, began, connection)
                else:
                    show()
                    wait.record_since(began)
            except Exception:
                failed("recording a checkout")
            return connection

        if checkouts is not None:
            checkouts.add(checkout)
        return checkout

    return wrapper


def measured_async_checkout(kind: Kind) -> Wrapper:
    """The same for a coroutine function."""

    def wrapper(original: Method) -> Method:
        async def checkout(self: Any, *args: Any, **kwargs: Any) -> Any:
            begun = pools.begins(self, kind)
            began = perf_counter()
            try:
                connection = await original(self, *args, **kwargs)
            except BaseException as error:
                pools.ended(self, begun, began, error)
                raise
            pools.ended(self, begun, began, connection)
            return connection

        return checkout

    return wrapper


def watched_async_return(kind: Kind) -> Wrapper:
    """For the coroutine function of a pool that takes a connection back, its first argument."""

    def wrapper(original: Method) -> Method:
        async def give_back(self: Any, *args: Any, **kwargs: Any) -> Any:
            pools.returns(self, kind, args[0] if args else next(iter(kwargs.values()), None))
            try:
                return await original(self, *args, **kwargs)
            finally:
                pools.changed(self, kind)

        return give_back

    return wrapper


def watched_return(kind: Kind) -> Wrapper:
    """The same for a method."""
    return watched_change(kind, returns=True)


def watched_change(kind: Kind, returns: bool = False) -> Wrapper:
    """For a method of a pool that moves its connections."""

    def wrapper(original: Method) -> Method:
        def change(self: Any, *args: Any, **kwargs: Any) -> Any:
            if returns:
                pools.returns(self, kind, args[0] if args else next(iter(kwargs.values()), None))
            try:
                if len(args) == 1 and not kwargs:
                    return original(self, args[0])
                return original(self, *args, **kwargs)
            finally:
                try:
                    usual = quick.get(id(self))
                    known = None if usual is None else usual.reference()
                    if usual is None or known is not self or getattr(self, "closed", False):
                        pools.changed(self, kind)
                    else:
                        usual.show()
                except Exception:
                    failed("recording a pool")

        return change

    return wrapper
