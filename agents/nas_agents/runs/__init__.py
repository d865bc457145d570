"""A run: its settings, its folder, what is recorded in it, and how runs are read and compared."""
