"""One module a format; `extract` in `ingest.loaders.registry` picks the loader."""
