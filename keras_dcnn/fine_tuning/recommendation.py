"""Recommendation: how to fine-tune, from where, at which rates, and why."""

from dataclasses import dataclass
from typing import NamedTuple


class Rates(NamedTuple):
    """Learning rates for AdamW, as `layerwise_optimizer` sets them; None where none are needed."""

    head: float | None  # of the layer of classes
    network: float | None  # of the last block of the network
    decay: float | None  # of a block, divided by that of the next


@dataclass(frozen=True)
class Recommendation:
    """What `recommend` says; printed, it is a few lines.

    Args:
        strategy: "probe", "few_layers", "all_layers" or "probe_then_all", as `fine_tune` takes.
        layers: "last" or "all": the features that the linear classifier is put on.
        share_trained: Share of the network's blocks, from its end, that are trained: 0, 1/3 or 1.
        rates: `(head, network, decay)`: learning rates for AdamW, of the layer of classes and of
            the network's last block, and that of a block divided by that of the next. None for a
            probe, which is fitted and has no rates.
        watch: What to look at meanwhile, in sentences.
        reasons: Why, in sentences.

    Example:

    ```python
    import keras_dcnn

    advice = keras_dcnn.fine_tuning.recommend(180, 9, "similar")
    print(advice.strategy, advice.layers, advice.rates.network)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 4.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    strategy: str
    layers: str
    share_trained: float
    rates: Rates
    watch: tuple[str, ...]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        features = {"last": "the last layer", "all": "all depths"}[self.layers]
        what = f"a linear classifier on the features of {features}"
        if self.share_trained:
            head, network, decay = self.rates
            blocks = "all blocks"
            if self.share_trained < 1:
                blocks = f"the last {100 * self.share_trained:.0f} % of the blocks"
            what += (
                f", then {blocks} at rates of {head:.2g} (head), {network:.2g} (last block) and "
                f"{decay:g} × for each block before"
            )
        lines = [f"{self.strategy}: {what}", *(f"why: {reason}" for reason in self.reasons)]
        return "\n".join([*lines, *(f"watch: {one}" for one in self.watch)])
