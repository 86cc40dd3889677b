"""What a few steps on one batch show: the first loss, gradients, and whether it can be learnt."""

import keras
import numpy as np

from keras_dcnn._keras.optimizers import has_fixed_rate, leaf_optimizers
from keras_dcnn.diagnosis._preflight.first_loss import chance_of, crossentropy_of
from keras_dcnn.diagnosis._preflight.network import listed
from keras_dcnn.diagnosis._preflight.rate_rules import usual_rates
from keras_dcnn.diagnosis._preflight.trial import try_batch
from keras_dcnn.diagnosis.finding import Finding

_MOVED = 3  # updates after which a layer behind kernels of zeros has a gradient as well
_ENOUGH = 16  # steps in which a loss that can fall does
_FALLS = 0.999  # of the first loss: what is never below did not fall
_RISES = 1.5  # times the first loss, without ever having been below
_LEARNT = 0.5  # of the loss of guessing, below which a model has learnt already
_SPREAD = 1e-6  # of gradients over depth; of ten sigmoids in a row it is about this


def find_by_trial(subject):
    """All findings of one batch; none where it can't be tried."""
    trial = try_batch(subject)
    if trial is None:
        return []
    if trial.error is not None:
        return [_failed(trial.error)]
    found = [finding for rule in _RULES for finding in rule(subject, trial)]
    causes = {"no_gradient", "ignores_input"} & {finding.rule for finding in found}
    return found if causes else found + find_batch_that_is_not_learnt(subject, trial)


def _failed(error):
    what = f"{type(error).__name__}: {_telling_line(str(error))}"
    return Finding(
        "step_fails",
        f"the first step of a training fails with {what.rstrip('.')}",
        "see where by `model.train_on_batch(x[:8], y[:8])`",
        severity="error",
        evidence={"exception": what},
    )


def _telling_line(text):
    """The line that says what is wrong, of messages that Keras wraps in where and with what."""
    text = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    text = text.partition("Arguments received by")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def find_what_is_not_finite(_, trial):
    """A loss that is NaN or infinite."""
    if np.isfinite(trial.losses[-1]):
        return
    step = len(trial.losses)
    message, advice = (
        (
            f"the loss is {trial.losses[0]} in the first step, before anything is trained",
            "look for NaN in the weights, for logarithms, roots and divisions of 0 in a loss or "
            "layer, and for inputs that are far too large",
        )
        if step == 1
        else (
            f"trained on one batch, the loss is {trial.losses[-1]} in step {step}, from "
            f"{trial.losses[0]:.3g} in the first",
            "take a lower learning rate, as `diagnosis.find_learning_rate` finds, and scale inputs "
            "and targets",
        )
    )
    evidence = {"step": step, "losses": [one for one in trial.losses if np.isfinite(one)]}
    yield Finding("not_finite_step", message, advice, severity="error", evidence=evidence)


def find_odd_first_loss(subject, trial):
    """A cross-entropy far above that of guessing; below it a model has learnt already.

    Of the model's own outputs, so that smoothed labels, weights and penalties are not in it.
    """
    head = subject.heads[0]
    loss, chance = crossentropy_of(head, trial.first, trial.y), chance_of(head)
    if loss is None or loss <= chance.limit:
        return
    message = (
        f"before training the cross-entropy is {loss:.3g} on {len(trial.y)} samples, and that of "
        f"guessing ln {chance.classes} = {chance.loss:.3g}"
    )
    advice = (
        'scale the inputs to about −1…1, and let initializers go by the number of inputs, as "he_'
        'normal" does; of a trained model, see whether its classes are numbered as `y` is'
    )
    evidence = {"loss": loss, "chance": chance.loss, "classes": chance.classes}
    yield Finding("first_loss", message, advice, head.where, "warning", evidence, "possible")


def find_no_gradient(subject, trial):
    """Trained layers that no gradient reaches, and gradients that vanish or explode over depth."""
    sizes = trial.gradients
    if not _has_moved_enough(trial) or not sizes or abs(trial.losses[0]) < 1e-4:
        return
    dead, steps = [path for path, size in sizes.items() if size == 0], len(trial.losses)
    evidence = {"layers": dead, "steps": steps}
    if len(dead) == len(sizes) and not _moved(trial):
        message = f"no gradient reaches any layer in {steps} steps, so that nothing is learnt"
        advice = "take a loss and layers that can be differentiated, without rounding or argmax"
        yield Finding("no_gradient", message, advice, None, "error", evidence)
    elif dead and _moved(trial):
        message = (
            f"no gradient reaches {listed(dead)} in {steps} steps on one batch, so that "
            f"{'it does' if len(dead) == 1 else 'they do'} not learn"
        )
        advice = (
            "between there and the loss look for ReLUs that are 0 for all samples, saturated "
            "activations, zeros as weights, and what can't be differentiated"
        )
        yield Finding("no_gradient", message, advice, None, "warning", evidence, "likely")
    elif not dead:
        yield from _over_depth(sizes)


def _has_moved_enough(trial):
    """Whether gradients that are there have come: after one update, later behind zeros."""
    return len(trial.losses) > (_MOVED if trial.has_zeros else 1)


def _over_depth(sizes):
    paths, values = list(sizes), np.array(list(sizes.values()))
    if not np.isfinite(values).all() or values.min() >= _SPREAD * values.max():
        return
    least, most = paths[int(values.argmin())], paths[int(values.argmax())]
    vanishes = values.argmin() < values.argmax()
    ratio = float(values.max() / values.min())
    message = (
        f"the largest gradient of `{least}` is {ratio:.1g} times smaller than that of `{most}`"
    )
    advice = 'take ReLU, BatchNormalization and initializers such as "he_normal" throughout'
    rule = "vanishing_gradient" if vanishes else "exploding_gradient"
    evidence = {"ratio": ratio, "smallest": least, "largest": most}
    yield Finding(rule, message, advice, None, "warning", evidence, "possible")


def find_ignored_inputs(_, trial):
    """Outputs that are the same for all samples, in training, before and after some updates.

    So are those of a last kernel of zeros before the first one; where the updates move nothing,
    nobody can tell.
    """
    if not _has_moved_enough(trial) or trial.first is None or not _moved(trial):
        return
    x = [one for one in keras.tree.flatten(trial.x) if (one != one[:1]).any()]
    if x and _are_same(trial.first) and _are_same(trial.last):
        count = len(trial.y)
        message = f"the outputs are the same for {count} samples, also after some steps"
        advice = (
            "look for a layer whose units all give 0 (dead ReLU) or all saturate, for weights that "
            "are all 0, and for inputs that are far too large"
        )
        yield Finding(
            "ignores_input", message, advice, None, "warning", {"samples": count}, "likely"
        )


def _moved(trial):
    """Whether the steps changed the outputs, those of all samples alike or not."""
    if trial.first is None:
        return False
    scale = max(float(np.abs(trial.first).max()), 1e-12)
    return bool(np.abs(trial.last - trial.first).max() > 1e-5 * scale)


def _are_same(outputs):
    return bool(np.ptp(outputs, axis=0).max() <= 1e-7 * np.abs(outputs).max())


def find_batch_that_is_not_learnt(subject, trial):
    """A loss on one and the same batch that does not fall, though the rate is a usual one."""
    losses, head = trial.losses, subject.heads[0]
    if len(losses) < _ENOUGH or head.loss.family == "other" or not np.isfinite(losses).all():
        return []
    lowest, last = min(losses[1:]), float(np.median(losses[-5:]))
    rises = lowest >= losses[0] and last > _RISES * losses[0]
    stands = lowest > _FALLS * losses[0] and _has_usual_rate(subject.model)
    if losses[0] <= 0 or _has_learnt(head, trial) or not (rises or stands):
        return []
    count = len(losses)
    message = (
        f"trained on one batch of {len(trial.y)} samples, the loss does not fall in {count} steps: "
        f"from {losses[0]:.3g} to {last:.3g}"
    )
    advice = (
        "take a lower learning rate, as `diagnosis.find_learning_rate` finds"
        if rises
        else "look at the last activation and the loss, for weights of zeros, dead or saturated "
        "units, at the scale of the inputs, and at the learning rate"
    )
    evidence = {"losses": losses, "steps": count}
    return [Finding("batch_not_overfitted", message, advice, None, "warning", evidence, "likely")]


def _has_usual_rate(model):
    """Whether every rate is fixed and not one that fine-tunes, with an update each step."""
    for one in leaf_optimizers(model.optimizer):
        usual = usual_rates(one)
        if usual is None or not has_fixed_rate(one) or one.gradient_accumulation_steps:
            return False
        if float(keras.ops.convert_to_numpy(one.learning_rate)) < 9.9 * usual.low:
            return False
    return True


def _has_learnt(head, trial):
    """Whether the model knows the batch already, so that little is left to fall."""
    if trial.first is None:
        return True
    loss = crossentropy_of(head, trial.first, trial.y)
    if loss is not None:
        return loss < _LEARNT * chance_of(head).loss
    if trial.first.size != trial.y.size:
        return True
    error = np.mean(np.square(trial.first.reshape(-1) - trial.y.reshape(-1)))
    return bool(error < _LEARNT * np.var(trial.y))


_RULES = (
    find_what_is_not_finite,
    find_odd_first_loss,
    find_no_gradient,
    find_ignored_inputs,
)
