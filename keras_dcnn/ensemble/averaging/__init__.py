"""One model of many checkpoints: averages of weights."""
