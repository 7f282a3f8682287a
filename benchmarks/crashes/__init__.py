"""What `crash.py` does to a data folder, and how it tells that nothing was lost."""
