"""The servers of a deployment: where they are, and what can be asked of them."""
