"""Drivers: how agents are run, in lock-step or as children end, and the state they go on from."""
