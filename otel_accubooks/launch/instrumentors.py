"""The instrumentors of our libraries. Each waits until its library is imported."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module
from logging import getLogger
from typing import Any

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from otel_accubooks.launch.start import begin, no_collection, start
from otel_accubooks.launch.switches import disabled, left_out

_log = getLogger("otel_accubooks")


class _OnImport(BaseInstrumentor):  # type: ignore[misc]
    """Instruments `libraries` (module: our module) as soon as they are imported, never before."""

    libraries: dict[str, str]
    requires: str

    def instrumentation_dependencies(self) -> Collection[str]:
        return (self.requires,)

    def _instrument(self, **_: Any) -> None:
        start()
        self._active = not disabled()
        self._patches: list[Any] = []
        if self._active and not getattr(type(self), "_registered", False):
            type(self)._registered = True
            for library, ours in self.libraries.items():
                wrapt.register_post_import_hook(self._hook(ours), library)

    def _hook(self, ours: str) -> Callable[[Any], None]:
        def imported(module: Any) -> None:
            if not self._active:
                return
            try:
                begin()
                with no_collection():
                    self._patches.append(import_module(ours).instrument(module))
            except Exception:
                _log.warning(
                    "otel-accubooks: no metrics of %s; the application is not affected",
                    module.__name__,
                    exc_info=True,
                )

        return imported

    def _uninstrument(self, **_: Any) -> None:
        self._active = False
        while self._patches:
            self._patches.pop().restore()


class FlaskInstrumentor(_OnImport):
    """API metrics of Flask applications."""

    requires = "flask >= 2.2"
    libraries = {"flask": "otel_accubooks.launch.flask_front"}  # noqa: RUF012


class Psycopg2Instrumentor(_OnImport):
    """Database metrics of psycopg2 and its pools."""

    requires = "psycopg2 >= 2.8"
    libraries = {  # noqa: RUF012
        "psycopg2": "otel_accubooks.instrument.psycopg2",
        "psycopg2.pool": "otel_accubooks.instrument.psycopg2_pool",
    }


class PsycopgInstrumentor(_OnImport):
    """Database metrics of psycopg 3 and its pools."""

    requires = "psycopg >= 3.1"
    libraries = {  # noqa: RUF012
        "psycopg": "otel_accubooks.instrument.psycopg",
        "psycopg_pool": "otel_accubooks.instrument.psycopg_pool",
    }


class SQLAlchemyInstrumentor(_OnImport):
    """Database metrics of SQLAlchemy: its pools, and queries that no driver above measures."""

    requires = "sqlalchemy >= 1.4"
    libraries = {"sqlalchemy.engine": "otel_accubooks.instrument.sqlalchemy"}  # noqa: RUF012


class RedisInstrumentor(_OnImport):
    """Cache metrics of redis-py."""

    requires = "redis >= 5"
    libraries = {  # noqa: RUF012
        "redis": "otel_accubooks.launch.redis_front",
        # Those whose use of Redis is no cache.
        "kombu.transport.redis": "otel_accubooks.instrument.redis_others",
        "celery.backends.redis": "otel_accubooks.instrument.redis_others",
        "flask_session.redis.redis": "otel_accubooks.instrument.redis_others",
        "flask_session.sessions": "otel_accubooks.instrument.redis_others",  # before 0.7
    }

    def _instrument(self, **kwargs: Any) -> None:
        super()._instrument(**kwargs)
        if self._active:
            from otel_accubooks.launch.redis_imports import spare_sdk

            spare_sdk()


class FlaskCachingInstrumentor(_OnImport):
    """Cache metrics of Flask-Caching, where its cache is not in Redis."""

    requires = "flask-caching >= 2"
    libraries = {"flask_caching": "otel_accubooks.instrument.flask_caching"}  # noqa: RUF012


class RQInstrumentor(_OnImport):
    """Queue metrics of RQ."""

    requires = "rq >= 1.16"
    libraries = {"rq": "otel_accubooks.instrument.rq"}  # noqa: RUF012


class CeleryInstrumentor(_OnImport):
    """Queue metrics of Celery."""

    requires = "celery >= 5.3"
    libraries = {  # noqa: RUF012
        "celery.app.trace": "otel_accubooks.instrument.celery",
        "celery.app.amqp": "otel_accubooks.instrument.celery_message",
        "celery.concurrency.prefork": "otel_accubooks.instrument.celery_prefork",
        "celery.worker.consumer.tasks": "otel_accubooks.instrument.celery_worker",
    }


INSTRUMENTORS: dict[str, type[_OnImport]] = {
    "celery": CeleryInstrumentor,
    "flask": FlaskInstrumentor,
    "flask_caching": FlaskCachingInstrumentor,
    "psycopg": PsycopgInstrumentor,
    "psycopg2": Psycopg2Instrumentor,
    "redis": RedisInstrumentor,
    "rq": RQInstrumentor,
    "sqlalchemy": SQLAlchemyInstrumentor,
}


class AllInstrumentors(BaseInstrumentor):  # type: ignore[misc]
    """All of them as one, for the launcher: of each that it loads it reads our metadata, twice.

    Those that OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names are left out, as the launcher would.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        out = left_out()
        for name, kind in INSTRUMENTORS.items():
            if name in out:
                continue
            try:
                # Which distributions there are does not matter: a library is measured once it is imported.
                kind().instrument(skip_dep_check=True, **kwargs)
            except Exception as error:  # the others are worth having all the same
                _log.warning("otel-accubooks: no metrics of %s: %s", name, error)

    def _uninstrument(self, **kwargs: Any) -> None:
        for kind in INSTRUMENTORS.values():
            instrumentor = kind()
            if instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.uninstrument(**kwargs)
