"""Algorithms that propose whole architectures and observe what they are worth; one a file."""
