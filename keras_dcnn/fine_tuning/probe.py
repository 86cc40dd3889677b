"""Probe: a linear classifier on the features of a network, and how good each depth is."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """What `linear_probe` found; printed, a line for each depth, with an arrow at the one taken.

    Args:
        model: A Keras model from images to probabilities, float32, which has the network's own
            layers, not copies of them, and behind them one Dense layer, "classes".
        layer: What was taken of `names`.
        accuracy: Its share of held-out samples that are right, in [0, 1]. It was chosen by these
            samples, so expect a little less of new ones.
        C: Its inverse strength of L2, of scikit-learn's, for features scaled to rows of a mean
            square of 1.
        head: "logistic" or "svm".
        names: The layers, from the input to the output, then "last … of …" and "all …" for several
            together, and for shares of their features.
        accuracies: For each of `names` the share of held-out samples that are right.
        losses: For each their cross-entropy, in nats, by which was chosen: of few samples the
            accuracy is too coarse.
        num_samples: How many samples it was fitted to.
        num_held_out: How many were held out to choose by, of others or in folds of the same.

    Example:

    ```python
    import keras_dcnn

    print(keras_dcnn.fine_tuning.Probe(
        model=None, layer="conv2", accuracy=0.83, C=10.0, head="logistic",
        names=("conv1", "conv2"), accuracies=(0.71, 0.83), losses=(0.9, 0.6),
        num_samples=200, num_held_out=200,
    ))
    ```

    Reference:
        Alain, Bengio: Understanding Intermediate Layers Using Linear Classifier Probes (2016).
        https://arxiv.org/abs/1610.01644
    """

    model: keras.Model
    layer: str
    accuracy: float
    C: float
    head: str
    names: tuple[str, ...]
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]
    num_samples: int
    num_held_out: int

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = [
            f"{self.head} on {self.num_samples:,} samples, C={self.C:g}; accuracy and loss "
            f"of {self.num_held_out:,} held-out samples:"
        ]
        rows = zip(self.names, self.accuracies, self.losses, strict=True)
        for name, accuracy, loss in rows:
            arrow = "→" if name == self.layer else " "
            lines.append(f"{arrow} {name:<{width}}  {accuracy:.3f}  {loss:.3f}")
        return "\n".join(lines)
