"""The built-in viewer: the contract's dashboards over a Prometheus, read only, without Grafana."""

from otel_accubooks.viewer.app import application, serve

__all__ = ["application", "serve"]
