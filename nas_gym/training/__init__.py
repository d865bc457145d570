"""Training of one child: settings, steps, the evaluator `Trainer`, early stopping, weights.

The final training of a network and the fingerprints of evaluations are here too.
"""
