"""Commands of trained networks: train one, let it predict, export it."""
