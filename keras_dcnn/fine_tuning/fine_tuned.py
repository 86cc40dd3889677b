"""FineTuned: the model that fine_tune made, and what was decided on the way."""

import dataclasses
from typing import Any

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class FineTuned:
    """What `fine_tune` returns; printed, it says what was decided, and why.

    Args:
        model: The Keras model, from images to probabilities of the classes, compiled. To train it
            on, compile it anew; layers that were frozen still are.
        strategy: What was done: "probe", "few_layers", "all_layers" or "probe_then_all".
        accuracy: Share of held-out samples that the model gets right, in [0, 1]. By these it was
            chosen, so expect a little less of new ones.
        record: What was seen and decided, in sentences.
        history: The curves of the training, as of Keras's History; empty where there was none.

    Example:

    ```python
    import keras_dcnn

    print(keras_dcnn.fine_tuning.FineTuned(
        model=None, strategy="probe", accuracy=0.87, record=("180 samples of 9 classes",),
        history={},
    ))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 4.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    model: keras.Model
    strategy: str
    accuracy: float
    record: tuple[str, ...]
    history: dict[str, list[Any]]

    def __str__(self) -> str:
        lines = [f"{self.strategy}: {100 * self.accuracy:.1f} % of the held-out samples right"]
        return "\n".join([*lines, *(f"  {line}" for line in self.record)])
