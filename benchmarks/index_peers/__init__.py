"""One adapter a peer, each run by the Python of its own environment. See `benchmarks/index.py`."""
