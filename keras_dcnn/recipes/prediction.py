"""Prediction: what a classifier says of one image."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """What `ImageClassifier.classify` and `Run.predict` return for each image.

    Args:
        file: The image's file, or None for an array.
        label: Name of the most probable class; None for a file that could not be read.
        probability: Its probability, 0 to 1.
        top: The most probable classes with their probabilities, the highest first.
        sure: Whether that class alone is needed to be right nine times in ten; None where too few
            images were held out to say so.
        spread: Of an ensemble the share of members that name another class, 0 to 1; else None.
        error: Why a file could not be read, or None.

    Example:

    ```python
    import keras_dcnn

    print(keras_dcnn.recipes.Prediction("a.jpg", "cat", 0.9, (("cat", 0.9), ("dog", 0.1))))
    ```

    Reference:
        Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World (2005), for `sure`.
        https://doi.org/10.1007/b106715
    """

    file: str | None
    label: str | None
    probability: float
    top: tuple[tuple[str, float], ...]
    sure: bool | None = None
    spread: float | None = None
    error: str | None = None
