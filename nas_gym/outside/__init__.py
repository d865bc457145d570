"""The outside world: bounded JSON, files that no link redirects, other processes that measure."""
