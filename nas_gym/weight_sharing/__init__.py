"""Trains a supernet, and evaluates children inside it, whose weights they share."""
