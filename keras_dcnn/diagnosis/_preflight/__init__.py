"""Before a training: rules of `preflight` on a model, its data and how it is compiled."""
