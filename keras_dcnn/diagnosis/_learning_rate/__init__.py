"""The rate test of `find_learning_rate`: batches, sweep, curve, and all as it was afterwards."""
