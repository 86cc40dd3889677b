"""The last activation against the loss."""

import math

import keras

from keras_dcnn.diagnosis._preflight.activation_kinds import PROBABILITIES
from keras_dcnn.diagnosis._preflight.losses import CROSS_ENTROPIES
from keras_dcnn.diagnosis.finding import Finding

_MANY = 20  # classes
_WRONG = {
    "linear": "any numbers, as no activation makes them probabilities",
    "relu": "numbers from 0 up, as its activation doesn't end at 1",
    "positive": "numbers above 0, as its activation doesn't end at 1",
    "tanh": "numbers of −1…1, as its activation goes below 0",
    "log_softmax": "logarithms of probabilities, all below 0",
}


def find_wrong_last_activations(subject):
    """The findings of each output; the first rule that fits speaks, as others would say it too."""
    return [finding for head in subject.heads for finding in _of_head(head)]


def _of_head(head):
    found = []
    if head.dropout:
        found.append(
            Finding(
                "dropout_on_outputs",
                "dropout behind the last kernel puts outputs of the model to 0",
                "put it in front of the last layer",
                head.dropout,
            )
        )
    for rule in (_one_unit, _doubled, _not_logits, _not_probabilities, _mismatch, _of_regression):
        finding = rule(head)
        if finding is not None:
            return [*found, finding]
    return found


def _one_unit(head):
    """A softmax over one unit is 1 whatever the input; so is what a cross-entropy makes of it."""
    if head.units != 1:
        return None
    if head.ends_in == "softmax":
        what = "the softmax of a single unit is 1, whatever the input"
    elif head.loss and head.loss.family == "categorical":
        what = f"{head.loss.name} of a single unit is 0, whatever the input"
    elif head.loss and head.loss.family == "sparse":
        what = f"{head.loss.name} needs a unit for each class, and there is one"
    else:
        return None
    return Finding(
        "one_unit",
        what,
        "for two classes take one unit with sigmoid and BinaryCrossentropy, for more a unit each "
        "with softmax; for numbers no activation and MeanSquaredError",
        head.where,
        "error",
        {"units": 1, "activation": head.ends_in},
    )


def _doubled(head):
    twice = [kind for kind in head.kinds if kind in PROBABILITIES]
    if len(twice) > 1:
        return Finding(
            "doubled_activation",
            f"the outputs go through {twice[1]} and then through {twice[0]}{_floor(head)}",
            "keep one of the two",
            head.where,
            "error" if twice[0] == "sigmoid" or _many(head) else "warning",
            {"activations": twice},
        )
    if len(head.kinds) > 1 and head.ends_in in PROBABILITIES and head.kinds[1] == "relu":
        return Finding(
            "relu_before_probabilities",
            f"a ReLU in front of the last {head.ends_in} takes away what speaks against a class",
            "give the last kernel no activation but this",
            head.where,
            evidence={"activations": list(head.kinds)},
        )
    return None


def _many(head):
    """Whether a softmax of a softmax hardly tells the classes apart."""
    return head.ends_in == "softmax" and (head.units or 0) > _MANY


def _floor(head):
    """The loss of a softmax of a perfect softmax: −ln(e / (e + C − 1))."""
    if head.ends_in == "sigmoid" or not head.units:
        return ", which gives no number below 0.5" if len(head.kinds) > 1 else ""
    floor = math.log1p((head.units - 1) / math.e)
    return f", so that the loss can't fall below {floor:.2g}"


def _is_cross_entropy(head, from_logits):
    loss = head.loss
    return loss and loss.family in CROSS_ENTROPIES and loss.from_logits == from_logits


def _not_logits(head):
    if not _is_cross_entropy(head, True):
        return None
    if head.ends_in in PROBABILITIES:
        undone = _is_undone(head)
        note = ", which Keras undoes on TensorFlow alone" if undone else _floor(head)
        return Finding(
            "doubled_activation",
            f"the model ends in {head.ends_in}, and {head.loss.name} with from_logits=True applies "
            f"another{note}",
            "take off from_logits=True, or the activation",
            head.where,
            "error" if _many(head) and not undone else "warning",
            {"activation": head.ends_in, "from_logits": True},
        )
    if head.ends_in in ("relu", "tanh"):
        return Finding(
            "bounded_logits",
            f"the logits end in {head.ends_in}, so that no class can be ruled out",
            "give the last layer no activation",
            head.where,
            evidence={"activation": head.ends_in, "from_logits": True},
        )
    return None


def _is_undone(head):
    """Whether Keras takes the logits instead: on TensorFlow, where nothing casts them (3.15)."""
    if keras.backend.backend() != "tensorflow" or head.loss.family == "adjusted":
        return False
    return getattr(head.last and head.last.operation, "compute_dtype", "float32") == "float32"


def _not_probabilities(head):
    if not _is_cross_entropy(head, False) or head.ends_in not in _WRONG:
        return None
    right = "sigmoid" if head.loss.family == "binary" else "softmax"
    fix = f"give the last layer {right}"
    if head.ends_in == "linear" and head.loss.family != "auto":
        fix += ", or the loss from_logits=True"
    works = head.ends_in == "positive" and head.loss.family != "binary"  # Keras has them sum to 1
    return Finding(
        "not_probabilities",
        f"{head.loss.name} expects probabilities, and the model's outputs are "
        f"{_WRONG[head.ends_in]}",
        fix,
        head.where,
        "warning" if works else "error",
        {"activation": head.ends_in, "from_logits": False},
    )


def _mismatch(head):
    """Sigmoids for classes that exclude each other, softmax for labels that do not."""
    family = head.loss.family if head.loss else None
    if family in ("categorical", "sparse", "adjusted") and head.ends_in == "sigmoid":
        return Finding(
            "sigmoid_of_exclusive_classes",
            f"{head.loss.name} is for classes of which one is right, and {head.units} sigmoids "
            "don't sum to 1",
            "give the last layer softmax; for several labels at once take BinaryCrossentropy",
            head.where,
            evidence={"units": head.units, "loss": head.loss.name},
        )
    if family == "binary" and head.ends_in == "softmax":
        return Finding(
            "softmax_with_binary_crossentropy",
            f"{head.loss.name} judges each of {head.units} outputs alone, and those of a softmax "
            "hang together",
            "for one class each take CategoricalCrossentropy, or SparseCategoricalCrossentropy for "
            "class numbers; for several labels at once give the last layer sigmoid",
            head.where,
            "info" if head.units == 2 else "warning",
            {"units": head.units, "loss": head.loss.name},
        )
    return None


def _of_regression(head):
    if not head.loss or head.loss.family != "regression":
        return None
    if head.ends_in == "softmax":
        return Finding(
            "regression_loss_of_classes",
            f"{head.loss.name} of a softmax learns slowly where it is most wrong",
            "take CategoricalCrossentropy, or SparseCategoricalCrossentropy for class numbers",
            head.where,
            evidence={"loss": head.loss.name, "activation": "softmax"},
        )
    below = head.y is not None and head.y.dtype.kind in "if" and (head.y < 0).any()
    if head.ends_in == "relu" and not below:  # else the labels say so
        return Finding(
            "relu_of_regression",
            "a ReLU as the last activation gives no number below 0, and learns nothing where it "
            "gives 0",
            "give the last layer no activation, or softplus for numbers above 0",
            head.where,
            "warning" if head.units == 1 else "info",
            {"activation": "relu", "units": head.units},
            "possible",
        )
    return None
