"""The one truth: its tables, and how they are opened, read and written."""
