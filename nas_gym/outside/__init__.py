"""What lies outside: bounded JSON, files that no link redirects, other processes."""
