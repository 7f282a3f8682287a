"""The web console: one static page."""
