"""Finding: one thing that a diagnosis found, in sentences."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One mistake: what it is, where, and what to do.

    Printed, it is two sentences; `dataclasses.asdict` makes it plain data for JSON.

    Args:
        rule: Short name of the rule that found it, the same in every version, to filter by.
        message: What is wrong, with the numbers.
        advice: What to do.
        layer: Name of the layer, or its path within nested models; None where it is about several
            or none.

    Raises:
        TypeError: for an unknown keyword.

    Example:

    ```python
    import dataclasses
    import json

    import keras_dcnn

    finding = keras_dcnn.diagnosis.Finding("decayed_slopes", "α is decayed", "take it off", "prelu")
    print(json.dumps(dataclasses.asdict(finding)))
    ```

    Reference:
        Zhang, Zhai, Ma, Shen: AUTOTRAINER (2021), which names the problems that it looks for.
        https://doi.org/10.1109/ICSE43902.2021.00043
    """

    rule: str
    message: str
    advice: str
    layer: str | None = None

    def __str__(self):
        where = f"`{self.layer}`: " if self.layer else ""
        return f"{where}{self.message}: {self.advice}."
