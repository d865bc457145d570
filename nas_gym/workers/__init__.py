"""Many children at once: a pool of local processes, or a Ray cluster."""
