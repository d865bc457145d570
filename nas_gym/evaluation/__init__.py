"""Architectures become evaluations: data sets, training, and the records of both."""
