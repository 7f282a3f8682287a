"""Where documents are fetched from by themselves: folders, web pages, git repositories, buckets."""
