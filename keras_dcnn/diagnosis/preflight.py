"""preflight: what is wrong with a model, its data and its settings before it is trained."""

from typing import Any

import keras

from keras_dcnn._checks import check_count, check_flag, check_model
from keras_dcnn.diagnosis._preflight.balance_rules import find_unbalanced_classes
from keras_dcnn.diagnosis._preflight.duplicate_rules import find_duplicates
from keras_dcnn.diagnosis._preflight.input_rules import (
    find_other_validation,
    find_unscaled_inputs,
    find_wrong_inputs,
)
from keras_dcnn.diagnosis._preflight.label_rules import (
    find_wrong_labels,
    find_wrong_validation_labels,
)
from keras_dcnn.diagnosis._preflight.last_layer_rules import find_wrong_last_activations
from keras_dcnn.diagnosis._preflight.metric_rules import find_unfit_metrics
from keras_dcnn.diagnosis._preflight.rate_rules import find_unusual_rates
from keras_dcnn.diagnosis._preflight.reduction_rules import find_summed_losses
from keras_dcnn.diagnosis._preflight.regularization_rules import (
    find_misplaced_dropout,
    find_repeated_normalization,
    find_strong_dropout,
    find_strong_penalties,
)
from keras_dcnn.diagnosis._preflight.size_rules import (
    find_large_filters,
    find_large_pooling,
    find_lost_places,
    find_odd_sides,
)
from keras_dcnn.diagnosis._preflight.start_rules import find_odd_starts
from keras_dcnn.diagnosis._preflight.structure_rules import (
    find_cannot_tell,
    find_few_filters,
    find_linear_layers,
    find_narrow_layers,
    find_saturating_layers,
)
from keras_dcnn.diagnosis._preflight.subject import read_subject
from keras_dcnn.diagnosis._preflight.training_rules import (
    find_frozen_between,
    find_no_validation,
    find_unfit_batches,
    find_what_is_not_compiled,
    find_what_is_not_trained,
)
from keras_dcnn.diagnosis._preflight.trial_rules import find_by_trial
from keras_dcnn.diagnosis.examine import examine
from keras_dcnn.diagnosis.finding import Finding, worst_first

_RULES = (
    find_what_is_not_compiled,
    find_what_is_not_trained,
    find_wrong_last_activations,
    find_wrong_labels,
    find_wrong_validation_labels,
    find_wrong_inputs,
    find_unscaled_inputs,
    find_other_validation,
    find_unbalanced_classes,
    find_duplicates,
    find_summed_losses,
    find_unfit_metrics,
    find_unusual_rates,
    find_linear_layers,
    find_narrow_layers,
    find_few_filters,
    find_saturating_layers,
    find_odd_starts,
    find_lost_places,
    find_strong_dropout,
    find_misplaced_dropout,
    find_repeated_normalization,
    find_strong_penalties,
    find_frozen_between,
    find_unfit_batches,
    find_no_validation,
    find_cannot_tell,
    find_large_filters,
    find_large_pooling,
    find_odd_sides,
)


def preflight(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    batch_size: int | None = None,
    validation_data: Any = None,
    trial: bool = True,
) -> list[Finding]:
    """What is wrong with a model, its data and how it is compiled, before it is trained.

    Call it with what you are about to give `fit`. First the model's layers, losses and optimizer
    are read, and some of the samples. The last activation is judged by what it does, the loss by
    its class and `from_logits`, never by the names of layers. That takes about half a second for a
    ResNet50, and for each 100,000 small images of `x` another.

    Then one batch of at most 32 samples, of each class in turn, is trained on for up to 24 steps,
    or as many as fit in some seconds, with a copy of the optimizer. Afterwards all is as before,
    also after an error or Ctrl-C: weights, statistics, seeds, optimizer, metrics and all random
    numbers; nothing is built or compiled that was not. It is left out where an error was found
    already, for models that are not built, have several outputs or a `call` or training of their
    own, for data that are not arrays, and on JAX, where the compilation alone would take longer,
    for more than 60 layers.

    By the `rule` of what it finds, those of level "error" first:

    - last activation and loss: `one_unit`, `doubled_activation`, `not_probabilities`,
      `bounded_logits`, `relu_before_probabilities`, `sigmoid_of_exclusive_classes`,
      `softmax_with_binary_crossentropy`, `regression_loss_of_classes`, `relu_of_regression`,
      `dropout_on_outputs`;
    - labels: `class_numbers_for_one_hot`, `one_hot_for_class_numbers`, `class_outside`,
      `labels_from_1`, `label_outside_0_1`, `labels_no_classes`, `labels_not_numbers`,
      `labels_not_finite`, `labels_of_other_shape`, `several_labels`, `wrong_number_of_units`,
      `too_many_units`,
      `targets_out_of_reach`, `targets_not_scaled`, `one_class`, `unbalanced_classes`;
    - inputs: `inputs_no_array`, `inputs_no_numbers`, `inputs_not_finite`, `inputs_not_scaled`,
      `inputs_too_small`, `constant_inputs`, `number_of_inputs`, `wrong_input_shape`,
      `other_lengths`, `token_outside`, `other_validation_scale`, `data_not_read`;
    - metrics: `accuracy_of_regression`, `threshold_of_logits`, `unfit_metric`;
    - training: `not_compiled`, `no_loss`, `nothing_to_train`, `frozen_head`, `frozen_between`,
      `high_rate`, `low_rate`, `rate_not_positive`, `small_batches`, `large_batches`,
      `no_validation`;
    - layers: `linear_layer`, `missing_activation`, `hidden_softmax`, `saturating_layers`,
      `narrow_layer`, `large_start`, `small_start`, `lost_places` and those of `examine`;
    - regularisation: `strong_dropout`, `dropout_before_batch_norm`, `repeated_dropout`,
      `repeated_batch_norm`, `strong_penalty` and `double_decay` of `examine`;
    - duplicates, of samples of 64 numbers or more: `duplicates` in training and validation,
      `same_image_other_label`;
    - the loss: `loss_reduction`, summed or not reduced;
    - the batch that is tried: `step_fails`, `not_finite_step`, `first_loss` far above ln C,
      `no_gradient`, `vanishing_gradient`, `exploding_gradient`, `ignores_input`,
      `batch_not_overfitted`;
    - the tutorial's advice: `filters`, `pooling`, `image_side`, all "info";
    - the rest: `cannot_tell`, "info": a model with a `call` of its own.

    Args:
        model: A Keras model, best compiled; of one that isn't built less is said.
        x: What the model is to be trained on, as arrays; a list or dict of them for several inputs.
            Of other data, such as a tf.data set, nothing is read. None: no rule on inputs speaks.
        y: Its labels, as arrays; a list or dict of them for several outputs.
        batch_size: That of the training, where it is given, ≥ 1.
        validation_data: `(x, y)` of the validation; False for a training without, which is a
            finding; None: nothing is said of it.
        trial: Whether one batch is tried.

    Returns:
        A list of `Finding`, the worst first; empty where nothing is to be said.

    Raises:
        TypeError: for what is not a Keras model.
        ValueError: for a `batch_size` that is no whole number ≥ 1, or a `trial` that is no bool.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(10))
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    x, y = np.random.rand(20, 28, 28), np.arange(20) % 10
    for finding in keras_dcnn.diagnosis.preflight(model, x, y):
        print(finding.severity, finding)
    ```

    Reference:
        Humbatova et al.: Taxonomy of real faults in deep learning systems (2020).
        https://arxiv.org/abs/1910.11015
        Bengio: Practical recommendations for gradient-based training of deep architectures (2012),
        for the usual learning rates. https://arxiv.org/abs/1206.5533
        Li et al.: Understanding the disharmony between dropout and batch normalization by variance
        shift (2018). https://arxiv.org/abs/1801.05134
        Karpathy: A recipe for training neural networks (2019), for the first loss and the batch
        that is learnt by heart. https://karpathy.github.io/2019/04/25/recipe/
    """
    check_model(model)
    if batch_size is not None:
        check_count("batch_size", batch_size)
    check_flag("trial", trial)
    subject = read_subject(model, x, y, batch_size, validation_data)
    found = [finding for find in _RULES for finding in find(subject)]
    found += examine(model) if model.built else []
    if trial and all(finding.severity != "error" for finding in found):
        found += find_by_trial(subject)
    return worst_first(found)
