"""``nas-gym``: the command line, one file a command; those of trained networks in `models`."""
