"""Rules of `examine` on a model as it is."""
