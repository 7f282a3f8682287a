"""Backups of a whole data folder: taken while the service runs, restored into SQLite or PostgreSQL."""
