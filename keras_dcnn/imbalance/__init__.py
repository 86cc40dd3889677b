"""Classes with few images among others with many (§9): sampling, weights, phases, thresholds.

What draws or weighs samples by their class, or corrects a model for how often classes come, lives
here; losses that do so are in `keras_dcnn.losses`.
"""

__all__: list[str] = []
