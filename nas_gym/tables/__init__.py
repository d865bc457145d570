"""Recorded benchmarks: their columns, look-up, recording and import. No torch in look-ups."""
