"""AveragingTrace: what an averaging of weights tried, and what it gave."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple


class Trial(NamedTuple):
    """One checkpoint: its own score, that of the soup with it, and whether it is in the average."""

    name: str
    score: float | None
    score_with: float | None
    stayed: bool


@dataclass(frozen=True)
class AveragingTrace:
    """What `average_checkpoints` or `soup` tried, with the scores, and what it chose.

    Printed, it is two sentences; `dataclasses.asdict` makes it plain data.

    Args:
        monitor: What the scores are: `"loss"` or the name of a metric.
        tried: For each checkpoint, in the order of the trials: `name`; `score`, its own;
            `score_with`, that of a greedy soup with it; `stayed`, whether it is in the average.
            A score that was not measured is None.
        batch_norm: The score of the average by the kind of BatchNorm's statistics, of those that
            were tried; empty for a model without BatchNorm.
        chosen: The kind that the model has now, or None for a model without BatchNorm.
        score: That of the model as it is now, or None where it was not measured.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    trace = keras_dcnn.ensemble.average_checkpoints(model, [model.get_weights()] * 2)
    print(trace, [trial.name for trial in trace.tried])
    ```

    Reference:
        Wortsman et al.: Model soups: averaging weights of multiple fine-tuned models improves
        accuracy without increasing inference time (2022). https://arxiv.org/abs/2203.05482
    """

    monitor: str
    tried: tuple
    batch_norm: dict
    chosen: str | None
    score: float | None

    def __str__(self):
        members = [PurePath(trial.name).name for trial in self.tried if trial.stayed]
        listed = ", ".join([*members[:4], *(["…"] if len(members) > 4 else [])])
        result = "" if self.score is None else f": {self.monitor} {self.score:.4g}"
        text = f"Average of {len(members)} of {len(self.tried)} ({listed}){result}."
        if self.chosen:
            scores = [
                name if score is None else f"{name} {score:.4g}"
                for name, score in self.batch_norm.items()
            ]
            text += f" BatchNorm's statistics: {self.chosen}, of {', '.join(scores)}."
        return text
