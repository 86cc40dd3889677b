"""Which members CheckpointEnsemble keeps: pure functions of the entries of a manifest."""

import math


def leaving(members, value, keep, max_members, cost):
    """The members that leave when one of this value comes; None turns that one away."""
    if value is None:
        return None
    if keep == "all" or len(members) < max_members:
        return []
    if keep != "best":
        return members[:1]
    # The last of equals is the one to go, so that in a tie the earlier epoch stays.
    worst = max(members, key=lambda m: (cost(as_float(m["value"])), m["file"]))
    return [worst] if cost(value) < cost(as_float(worst["value"])) else None


def plain(value):
    """A value as a manifest has it, in strict JSON: "inf" and "-inf" are text, NaN is None."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def as_float(value):
    """What `plain` made a manifest's of; None stays."""
    return None if value is None else float(value)


def why_turned_away(monitor, epoch, logs):
    """In words, why the candidate of an epoch became no member."""
    what = "NaN" if monitor in logs else "missing from the logs"
    return f"in epoch {epoch + 1}, the last candidate, '{monitor}' was {what}"
