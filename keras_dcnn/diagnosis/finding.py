"""Finding: one thing that a diagnosis found, in sentences."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

_WORST_FIRST = ("error", "warning", "info")


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
        severity: `"error"`, the model is of no use like this; `"warning"`, it is less good than it
            could be, or seems better than it is; `"info"`, what one should know.
        evidence: The numbers that the rule read, by name.
        confidence: `"certain"`, it follows from what was read; `"likely"`, it has the mark of this
            mistake, which no healthy training showed that the rule was tried on; `"possible"`,
            other causes look alike, and the advice names them. No probability: none was measured.

    Example:

    ```python
    import dataclasses
    import json

    import keras_dcnn

    finding = keras_dcnn.diagnosis.Finding("decayed_slopes", "α is decayed", "take it off", "prelu")
    print(json.dumps(dataclasses.asdict(finding)))
    ```

    Reference:
        Kim et al.: Repairing DNN Architecture: Are We There Yet? (2023), where tools that repair
        are no better than random search: hence advice. https://arxiv.org/abs/2301.11568
    """

    rule: str
    message: str
    advice: str
    layer: str | None = None
    severity: str = "warning"
    evidence: dict[str, Any] = field(default_factory=dict, hash=False)
    confidence: str = "certain"

    def __str__(self):
        where = f"`{self.layer}`: " if self.layer else ""
        return f"{where}{self.message}: {self.advice}."


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Those of level "error" first, and of each level as they came."""
    return sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.severity))


def plain(finding: Finding) -> Finding:
    """The finding with evidence that is strict JSON: no arrays, and None for NaN and infinity."""
    return replace(finding, evidence=_plain(finding.evidence))


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple, set)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
