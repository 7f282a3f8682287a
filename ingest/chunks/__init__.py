"""Text to chunks."""
