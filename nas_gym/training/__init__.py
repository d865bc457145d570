"""Trains one child network: settings, the trainer, its steps, early stopping, inherited weights."""
