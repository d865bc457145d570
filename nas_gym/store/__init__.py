"""Every evaluation ever made, in SQLite or PostgreSQL, and the evaluator that answers from it."""
