"""Rules of `examine_predictions` on what a model answers."""
