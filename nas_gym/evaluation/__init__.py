"""`Evaluation`, the record; `Evaluator`, the protocol; the memory and the budget. No torch here."""
