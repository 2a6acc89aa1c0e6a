"""Watches a deployment for hours, and says how it did."""
