"""``nas-gym``: the command line, one file a command."""
