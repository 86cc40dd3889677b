"""The steps of fine_tune, in their order."""

from typing import Any, NamedTuple

from keras_dcnn._checks import as_path, check_choice, check_count, check_number
from keras_dcnn.fine_tuning._classifier import augmentation_of, classifier, freeze, new_head
from keras_dcnn.fine_tuning._features import check_images
from keras_dcnn.fine_tuning._plan import STRATEGIES, plan_of
from keras_dcnn.fine_tuning._task import fine_tuning_task
from keras_dcnn.fine_tuning._task_features import TaskFeatures
from keras_dcnn.fine_tuning._training import Schedule, compile_classifier, train_classifier
from keras_dcnn.fine_tuning._trunk import copied_trunk
from keras_dcnn.fine_tuning.fine_tuned import FineTuned


class Options(NamedTuple):
    """The arguments of `fine_tune`, and whether only bars over features are shown."""

    num_classes: int | None = None
    strategy: str = "auto"
    layers: Any = None
    augmentation: Any = "standard"
    epochs: int = 20
    learning_rate: float | None = None
    callbacks: Any = None
    directory: Any = None
    batch_size: int = 32
    seed: int = 0
    verbose: int = 1
    bars_alone: bool = False


def tune(network, data, validation_data, options, record):
    """The `FineTuned`; what is decided goes into the record as it is decided."""
    check_choice("strategy", options.strategy, STRATEGIES)
    check_choice("layers", options.layers, (None, "last", "all"))
    check_count("epochs", options.epochs)
    check_count("seed", options.seed, minimum=0)
    if options.learning_rate is not None:
        check_number("learning_rate", options.learning_rate, above=0)
    directory = None if options.directory is None else as_path("directory", options.directory)
    size, seed, verbose = options.batch_size, options.seed, options.verbose
    trunk = copied_trunk(network)
    task = fine_tuning_task(data, validation_data, options.num_classes, size)
    for part in (task.training, task.validation):
        check_images(trunk, part.images)
    first = augmentation_of(options.augmentation, task.training.images, seed)
    record.add(task.summary)
    features = TaskFeatures(trunk, task, directory, size, verbose, options.bars_alone)
    plan = plan_of(options.strategy, options.layers, features, record)
    if plan.strategy == "probe":
        return _probed(features, plan, record)
    from_probe = plan.strategy != "all_layers"
    head = features.head(record) if from_probe else new_head(task.num_classes, seed)
    frozen = freeze(trunk, plan.share_trained)
    rate, epochs = options.learning_rate or plan.learning_rate, options.epochs
    shown = 0 if options.bars_alone else verbose
    schedule = Schedule(epochs, rate, plan.decay, options.callbacks, directory, size, seed, shown)
    model = classifier(trunk, task.training.images.shape[1:], head, first)
    compile_classifier(model, task, schedule)
    record.add(f"{plan.strategy}: {frozen} train for {epochs} epochs at a rate of {rate:.2g}.")
    accuracy, history = train_classifier(model, task, schedule, record, from_probe)
    return FineTuned(model, plan.strategy, accuracy, tuple(record.sentences), history)


def _probed(features, plan, record):
    """The network as it is, with a linear classifier."""
    probe = features.probe(plan.layers)
    record.add(
        f"probe: a linear classifier on {probe.layer} gets {100 * probe.accuracy:.1f} % of "
        f"{probe.num_held_out:,} held-out samples right."
    )
    return FineTuned(probe.model, "probe", probe.accuracy, tuple(record.sentences), {})
