"""Similarity: how near a task is to what a network was trained on, and what was measured of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Similarity:
    """What `measure_similarity` found; `recommend` takes it, `visualization.plot_depth` draws it.

    Printed, it is the verdict, the two scores, and a line for each depth.

    Args:
        verdict: "similar", "different" or "cannot tell".
        reason: Why, in a sentence with the numbers.
        logme: LogME of the last layer's features, in nats a sample; higher is better. It compares
            networks on the same images, and says nothing by itself.
        h_score: H-score of the same, 0 to the number of classes − 1; as LogME, to compare networks.
        names: The layers, from the input to the output.
        accuracies: For each layer the share of samples that a linear classifier on its features
            gets right when it is fitted to all others, 0 to 1.
        intervals: For each layer the 95 % interval of that, (low, high).
        num_samples: Number of samples that count.
        num_classes: Number of classes that occur among them.

    Example:

    ```python
    import keras_dcnn

    print(keras_dcnn.fine_tuning.Similarity(
        verdict="cannot tell", reason="there are but 20 samples", logme=-0.4, h_score=0.6,
        names=("conv1", "conv2"), accuracies=(0.6, 0.75), intervals=((0.39, 0.78), (0.53, 0.89)),
        num_samples=20, num_classes=2,
    ))
    ```

    Reference:
        You et al.: LogME: Practical Assessment of Pre-trained Models for Transfer Learning (2021).
        https://arxiv.org/abs/2102.11005
    """

    verdict: str
    reason: str
    logme: float
    h_score: float
    names: tuple[str, ...]
    accuracies: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    num_samples: int
    num_classes: int

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = [
            f"{self.verdict}: {self.reason}.",
            f"LogME {self.logme:.4g}, H-score {self.h_score:.4g}, of {self.num_samples:,} samples "
            f"of {self.num_classes} classes; to compare networks, higher is better",
        ]
        for name, accuracy, (low, high) in zip(
            self.names, self.accuracies, self.intervals, strict=True
        ):
            lines.append(f"{name:<{width}}  {accuracy:.3f}  ({low:.3f} to {high:.3f})")
        return "\n".join(lines)
