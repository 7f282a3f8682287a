"""One adapter a system, each run by the Python of its own environment. See `benchmarks/ingest_peers.py`."""
