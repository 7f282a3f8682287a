"""Documents in, versions and chunks out: loaders, chunking, catalog, jobs."""
