"""A search run: settings, run folder, recorder, drivers, summary."""
