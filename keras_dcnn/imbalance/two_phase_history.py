"""TwoPhaseHistory: the curves of two phases, and what was done."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, eq=False)
class TwoPhaseHistory:
    """What `train_in_two_phases` returns; printed, it says what was done.

    Args:
        form: What the second phase was: "many_then_few", "balanced", "head" or "reweighted".
        first: The curves of the first phase, as of Keras's History.
        second: Those of the second.
        record: What was trained on what, in sentences.

    Example:

    ```python
    import keras_dcnn

    print(keras_dcnn.imbalance.TwoPhaseHistory(
        form="balanced", first={"loss": [0.7]}, second={"loss": [0.5]}, record=("2 classes.",),
    ))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 9.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    form: str
    first: dict[str, list[Any]]
    second: dict[str, list[Any]]
    record: tuple[str, ...]

    def __str__(self) -> str:
        phases = [
            f"{name} phase: {len(curves['loss'])} epochs, loss {curves['loss'][-1]:.4f}"
            for name, curves in (("first", self.first), ("second", self.second))
            if curves.get("loss")
        ]
        return "\n".join(
            [f"two phases, {self.form}", *(f"  {one}" for one in self.record), *phases]
        )
