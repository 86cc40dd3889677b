"""EnsembleComparison: what each way to use a pool of models gives, in one table."""

from dataclasses import dataclass

COLUMNS = {
    "accuracy": ("accuracy", "{:.4f}"),
    "nll": ("NLL", "{:.4f}"),
    "ece": ("ECE", "{:.4f}"),
    "brier": ("Brier", "{:.4f}"),
    "seconds": ("s/1,000", "{:.3g}"),
    "parameters": ("parameters", "{:,}"),
}


@dataclass(frozen=True)
class EnsembleComparison:
    """What `compare_ensembles` measured: one row for each way to use the pool.

    Printed, it is a table. A way that was not possible has None for its numbers, and the reason in
    its note.

    Args:
        rows: A tuple of dicts with the keys `name` ("single", "uniform", "greedy", "soup",
            "stacked"); `accuracy`, `nll`, `ece` and `brier`, as of `calibration`; `seconds` per
            1,000 samples, warm; `parameters`; and `note`.
        metric: By what the members were chosen.
        num_members: Number of models in the pool.
        num_selected_on: Number of samples that the choices were made on.
        num_reported_on: Number of samples that the numbers are of.
        num_shared: How many of the latter are among the former.

    Example:

    ```python
    import keras_dcnn

    row = {"name": "single", "accuracy": 0.9, "nll": 0.31, "ece": 0.02, "brier": 0.15}
    row |= {"seconds": 0.2, "parameters": 12345, "note": "member 1"}
    print(keras_dcnn.ensemble.EnsembleComparison(
        rows=(row,), metric="accuracy", num_members=3, num_selected_on=600, num_reported_on=2000,
        num_shared=0,
    ))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    rows: tuple
    metric: str
    num_members: int
    num_selected_on: int
    num_reported_on: int
    num_shared: int

    def __str__(self):
        table = [["", *(title for title, _ in COLUMNS.values()), ""]]
        for row in self.rows:
            numbers = [
                "–" if row[key] is None else shown.format(row[key])
                for key, (_, shown) in COLUMNS.items()
            ]
            table.append([row["name"], *numbers, row["note"]])
        name, *widths, _ = (max(map(len, column)) for column in zip(*table, strict=True))
        line = "  ".join([f"{{:<{name}}}", *(f"{{:>{width}}}" for width in widths), "{}"])
        shared = f", {self.num_shared:,} of them the same" if self.num_shared else ""
        title = (
            f"{self.num_members} models, chosen from by {self.metric} on {self.num_selected_on:,} "
            f"samples, reported on {self.num_reported_on:,}{shared}"
        )
        return "\n".join([title, *(line.format(*cells).rstrip() for cells in table)])
