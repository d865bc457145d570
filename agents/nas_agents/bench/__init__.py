"""Benchmarks: any agents, on recorded data sets, under equal budgets, with many seeds.

`settings` says what is compared, `searching` makes one search, `running` makes all of them in
processes and keeps each in a folder, `results` and `curves` say what they found.
"""
