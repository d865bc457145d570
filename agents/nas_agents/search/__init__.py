"""A search from its settings to its result: the evaluator, finalists, and the final training."""
