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
        smoothed: Exponential averages of the losses to both sides, which do not lag behind them.
        steepest: Rate at which the smoothed loss falls most; None where it does not fall clearly
            beyond its noise.
        valley: Rate in the middle of the stretch in which the smoothed loss falls, or `steepest`
            where that comes before; or None, as that is.
        diverged: Whether the test ended where the loss had risen to 4 × its best or was not finite.

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
    steepest: float | None
    valley: float | None
    diverged: bool

    def __str__(self):
        lowest = min(range(len(self.smoothed)), key=self.smoothed.__getitem__)
        end = f"; by {self.rates[-1]:.2g} it had diverged" if self.diverged else ""
        return (
            f"Learning rate: {self._suggestions()}. The smoothed loss was {self.smoothed[0]:.3g} "
            f"at first and lowest, {self.smoothed[lowest]:.3g}, at a rate of "
            f"{self.rates[lowest]:.2g}{end}."
        )

    def _suggestions(self):
        if self.valley is None or self.steepest is None:
            return (
                "none can be suggested, since the loss does not fall clearly beyond its noise: "
                "keep the rate that you have, or try again with a larger `batch_size`, more "
                "`num_steps` or a higher `smoothing`"
            )
        if self.valley == self.steepest:
            return f"{self.valley:.2g} (valley and steepest descent)"
        return f"{self.valley:.2g} (valley) or {self.steepest:.2g} (steepest descent)"
