"""Every evaluation ever made, in SQLite or PostgreSQL. No torch here.

A `Store` keeps evaluations by architecture, settings and repeat; a `StoredEvaluator` answers from
it, and writes into it what is new; ``database`` opens the file or the server with its ``schema``.
"""

from nas_gym.store.database import StoreError
from nas_gym.store.evaluator import StoredEvaluator, mean_of
from nas_gym.store.rows import EvaluationWithTest, Record
from nas_gym.store.store import Store

__all__ = ["EvaluationWithTest", "Record", "Store", "StoreError", "StoredEvaluator", "mean_of"]
