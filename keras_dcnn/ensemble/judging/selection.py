"""Selection: which members were chosen, with what weights, and how that came about."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Selection:
    """What `select_members` chose; `Ensemble(models, weights=selection.weights)` uses it.

    Scores are such that higher is better; losses count negative, as in scikit-learn. Printed, it is
    two lines.

    Args:
        weights: One number ≥ 0 per member, with a sum of 1.
        members: Indices of the members with a weight above 0.
        score: Of the weighted mean of the predictions, on the data that it was chosen by.
        single_best: Index of the best single member.
        single_best_score: Its score, on the same data.
        metric: Name of the score.
        trace: For each bag its steps: `member` that was added, `score` then, and `tried`, the score
            that each member gave.

    Example:

    ```python
    import keras_dcnn

    print(keras_dcnn.ensemble.Selection(
        weights=(0.5, 0.0, 0.5), members=(0, 2), score=0.93, single_best=2,
        single_best_score=0.91, metric="accuracy",
    ))
    ```

    Reference:
        Caruana et al.: Ensemble Selection from Libraries of Models (2004).
        https://doi.org/10.1145/1015330.1015432
    """

    weights: tuple
    members: tuple
    score: float
    single_best: int
    single_best_score: float
    metric: str
    trace: tuple = field(default=(), repr=False)

    def __str__(self):
        ranked = sorted(self.members, key=lambda member: -self.weights[member])
        shown = ", ".join(f"{member} ({self.weights[member]:.2g})" for member in ranked[:8])
        return (
            f"{len(self.members)} of {len(self.weights)} members, {self.metric} {self.score:.4g}; "
            f"the best single one, {self.single_best}, {self.single_best_score:.4g}\n"
            f"members (weights): {shown}{', …' if len(ranked) > 8 else ''}"
        )
