"""AccuBooks: bookkeeping for small companies, with cash forecasts made from their own ledger."""
