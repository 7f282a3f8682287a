"""Reads uploads in processes of their own: hostile files cost such a process, and nothing else."""
