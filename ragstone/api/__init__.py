"""The HTTP API: one small router a topic."""
