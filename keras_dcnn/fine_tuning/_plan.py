"""What fine_tune does: as it is asked, or as was measured."""

from typing import Any, NamedTuple

from keras_dcnn.fine_tuning.measure_similarity import similarity_of
from keras_dcnn.fine_tuning.recommend import DECAY, HEAD_RATE, SHARE_OF_FEW, recommend

# The share of the blocks that a strategy trains.
SHARES = {"probe": 0.0, "few_layers": SHARE_OF_FEW, "all_layers": 1.0, "probe_then_all": 1.0}
STRATEGIES = ("auto", *SHARES)


class Plan(NamedTuple):
    """A strategy and its settings."""

    strategy: str
    layers: Any  # of a probe: "last" or "all"
    share_trained: float  # of the blocks
    learning_rate: float  # of the head
    decay: float  # of a block's rate, divided by that of the next


def plan_of(strategy, layers, features, record):
    """The Plan; for "auto" that of the recommendation, by the similarity that is measured."""
    if strategy != "auto":
        return Plan(strategy, layers or "last", SHARES[strategy], HEAD_RATE, DECAY)
    of_depths = features.read("all")
    similarity = similarity_of(of_depths) if len(of_depths.names) > 1 else "cannot tell"
    task = features.task
    advice = recommend(len(task.training.y), task.num_classes, similarity)
    for reason in advice.reasons:
        record.add(f"{reason}.")
    rates = advice.rates
    return Plan(
        *(advice.strategy, layers or advice.layers, advice.share_trained),
        *(rates.head or HEAD_RATE, rates.decay or DECAY),
    )
