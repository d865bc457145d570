"""Controllers of children that share weights: ENAS's, and TuNAS's and ProxylessNAS's.

`shared_weights` lets any agent be the controller: it trains the weights between its episodes.
"""
