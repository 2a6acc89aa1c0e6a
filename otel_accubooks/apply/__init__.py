"""Brings what `vendors/` compiled into a running Grafana, Datadog or New Relic account."""
