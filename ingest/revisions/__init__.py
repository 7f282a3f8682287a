"""Changes of what can be seen, each one revision: commits, batches, erasing, retention, another embedding space."""
