"""The loss barrier: whether averaged weights still lie in the basin of what they are made of."""

RATIO, MARGIN = 0.25, 0.05


def behind_barrier(averaged, single):
    """Whether a validation loss is much worse than that of the weights it averages; NaN is."""
    return not averaged <= single + RATIO * abs(single) + MARGIN  # losses may be negative
