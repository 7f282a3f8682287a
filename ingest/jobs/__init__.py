"""The queue of jobs, and the files that they are given."""
