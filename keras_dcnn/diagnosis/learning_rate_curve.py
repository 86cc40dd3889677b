"""LearningRateCurve: the losses of a learning-rate range test, and the rates they suggest."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LearningRateCurve:
    """The loss at each learning rate of a range test, and two rates to begin a training with.

    Made by `find_learning_rate`; drawn by `visualization.plot_learning_rate`. Printed, it is two
    sentences; `dataclasses.asdict` makes it plain data for JSON.

    Args:
        rates: The learning rates, rising; up to the one at which the test stopped.
        losses: The loss of the batch that was trained at each rate, before that step.
        smoothed: Exponential averages of the losses.
        steepest: Rate at which the smoothed loss falls most.
        valley: Rate two thirds into the longest stretch in which the smoothed loss falls.
        diverged: Whether the test stopped early, the loss having risen to 4 × its best or beyond
            all numbers.

    Example:

    ```python
    import keras_dcnn

    curve = keras_dcnn.diagnosis.LearningRateCurve(
        rates=(0.01, 0.1, 1.0), losses=(2.0, 1.0, 9.0), smoothed=(2.0, 1.4, 5.0),
        steepest=0.1, valley=0.1, diverged=False,
    )
    print(curve)
    ```

    Reference:
        Smith: Cyclical Learning Rates for Training Neural Networks (2015), section 3.3.
        https://arxiv.org/abs/1506.01186
    """

    rates: tuple
    losses: tuple
    smoothed: tuple
    steepest: float
    valley: float
    diverged: bool

    def __str__(self):
        lowest = min(range(len(self.smoothed)), key=self.smoothed.__getitem__)
        end = f", and it diverged at {self.rates[-1]:.2g}" if self.diverged else ""
        return (
            f"Learning rate: {self.valley:.2g} (valley) or {self.steepest:.2g} (steepest descent). "
            f"The smoothed loss fell from {self.smoothed[0]:.3g} to {self.smoothed[lowest]:.3g} at "
            f"a rate of {self.rates[lowest]:.2g}{end}."
        )
