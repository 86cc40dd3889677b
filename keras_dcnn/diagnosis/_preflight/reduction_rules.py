"""The reduction of a loss: by the sum, the step grows with the batch."""

import keras

from keras_dcnn._keras.optimizers import leaf_optimizers
from keras_dcnn.diagnosis.finding import Finding


def find_summed_losses(subject):
    """Losses that are summed over the samples of a batch, or are not reduced."""
    for head in subject.heads:
        reduction = getattr(head.loss.given, "reduction", "") if head.loss else ""
        if reduction in ("none", None):
            message = f"{head.loss.name} has no reduction, and `fit` needs one number"
            advice = 'take off reduction="none"'
        elif reduction == "sum":
            message = (
                f"{head.loss.name} is summed over the samples of a batch, so that the right "
                "learning rate depends on the batch size"
            )
            advice = 'take off reduction="sum", or divide the rate by the batch size'
        else:
            continue
        evidence = {"reduction": str(reduction)}
        severity = "info" if reduction == "sum" and _is_free_of_scale(subject.model) else "warning"
        yield Finding("loss_reduction", message, advice, head.where, severity, evidence)


def _is_free_of_scale(model):
    """Whether no optimizer is plain SGD, whose steps are as long as the gradients."""
    leaves = leaf_optimizers(model.optimizer)
    return not any(isinstance(one, keras.optimizers.SGD) for one in leaves)
