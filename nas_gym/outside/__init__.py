"""What comes from outside and goes there: bounded JSON, and files that no link redirects."""
