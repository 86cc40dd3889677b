"""What tests of figures share."""


def lines(ax):
    """The points of each line by its label, (points, 2)."""
    return {line.get_label(): line.get_xydata() for line in ax.lines}
