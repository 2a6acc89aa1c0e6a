from otel_accubooks.instrument.pool_gauges import show as show
