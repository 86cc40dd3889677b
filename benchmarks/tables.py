"""Tables of Markdown and the numbers in them."""

from statistics import median, quantiles


def table(head, rows):
    """Lines of a Markdown table, padded so that it reads well on a terminal too."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rows = [head, ["-" * width for width in widths], *rows]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return ["", *(f"| {' | '.join(row)} |" for row in padded), ""]


def number(value):
    """Three digits, or all of those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def spread(values):
    """The quartiles."""
    if len(values) == 1:
        return number(values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{number(low)} to {number(high)}"


def median_ratio(ours, others):
    """The median, over the rounds, of the ratio within the round; and all the ratios."""
    ratios = [one / other for one, other in zip(ours, others, strict=True)]
    return median(ratios), ratios
