"""A cross-validation over configurations: its jobs, its scores, and the best."""

import inspect

import numpy as np

from keras_dcnn.ensemble.combining._models import sign_of_cost
from keras_dcnn.ensemble.training._folds import model_selection
from keras_dcnn.ensemble.training._jobs import Job


def configurations(grid, build):
    """The keyword arguments of `build`, one dict for each configuration of the grid."""
    listed = list(model_selection().ParameterGrid({} if grid is None else grid))
    signature = inspect.signature(build)
    for parameters in listed:
        try:
            signature.bind(**parameters)
        except TypeError as error:
            raise TypeError(
                f"`build` must take the names of the grid, {', '.join(parameters) or 'here none'}; "
                f"it takes {signature} ({error})."
            ) from None
    return listed


def make_jobs(parameters, folds, seed):
    """The jobs, of the first configuration the folds, then of the next."""
    jobs = []
    for c, one in enumerate(parameters):
        for f, (train, held_out) in enumerate(folds):
            own = int(np.random.SeedSequence([seed, c, f]).generate_state(1)[0] >> 1)
            name = f"configuration-{c:03d}-fold-{f}"
            label = ", ".join([f"fold {f + 1} of {len(folds)}", *parameter_texts(one)])
            jobs.append(Job(name, label, own, one, train, held_out, c, f))
    return jobs


def parameter_texts(parameters):
    """Short texts, as `width=8`."""
    return [f"{k}={str(getattr(v, '__qualname__', v))[:30]}" for k, v in parameters.items()]


def check_top(top, folds, configurations):
    """Raise ValueError where there are not so many trainings."""
    total = folds * configurations
    if top is not None and top > total:
        raise ValueError(
            f"`top` must be at most the number of trainings, {total}: {folds} folds × "
            f"{configurations} configurations; got {top}: use top=None for all."
        )


def check_outputs(models, parameters, x):
    """Raise ValueError unless each model has one output, and all of the same shape."""
    shapes = {}
    for model, one in zip(models, parameters, strict=True):
        output = model(x)
        if isinstance(output, (list, tuple, dict)):
            raise ValueError(
                f"the model must have one output, no list or dict; `{model.name}` gives a "
                f"{type(output).__name__} of {len(output)}: train a model for each, or concatenate "
                "them."
            )
        shapes.setdefault(tuple(output.shape[1:]), ", ".join(parameter_texts(one)))
    if len(shapes) > 1:
        (shape, one), (other_shape, other) = list(shapes.items())[:2]
        raise ValueError(
            f"all configurations must give outputs of one shape; got {shape} for {one} and "
            f"{other_shape} for {other}: search for each by itself."
        )


def direction(model, monitor, x, y):
    """1 where a lower `monitor` is better, else −1; ValueError unless it is a number."""
    values = model.test_on_batch(x, y, return_dict=True)
    known = [f"val_{name}" for name, value in values.items() if np.ndim(value) == 0]
    if monitor not in known:
        raise ValueError(
            f"`monitor` must be one of {', '.join(known)}, which are one number each; "
            f"got {monitor!r}."
        )
    return sign_of_cost(model, monitor)


def collect(jobs, arrays, monitor, count):
    """Scores, NaN where predictions or score are not finite, and held-out predictions."""
    shape, first = (jobs[-1].configuration + 1, jobs[-1].fold + 1), arrays[0]["predictions"]
    scores = np.full(shape, np.nan)
    predictions = np.full((shape[0], count, *first.shape[1:]), np.nan, first.dtype)
    for job, result in zip(jobs, arrays, strict=True):
        predictions[job.configuration, job.held_out] = result["predictions"]
        score = result[f"metric/{monitor}"]
        if np.isfinite(score) and np.isfinite(result["predictions"]).all():
            scores[job.configuration, job.fold] = score
    return scores, predictions


def best(costs, top):
    """The places of the lowest costs, the earlier one in a tie; never of NaN."""
    order = np.argsort(costs, axis=None, kind="stable")  # NaN comes last
    return [int(place) for place in order if np.isfinite(costs.flat[place])][:top]


def check_finite(jobs, scores):
    """Raise ValueError, which names the trainings, where there is no score."""
    pairs = zip(jobs, scores.flat, strict=True)
    bad = [job.label for job, score in pairs if np.isnan(score)]
    if bad:
        raise ValueError(
            f"predictions and scores must be finite; those of {' and of '.join(bad)} are not: "
            "leave this configuration out, lower its learning rate, or look for NaN in the data. "
            "The other trainings are kept: `scores`, `results` and `ensemble()` have them."
        )


class ScoreTable(list):
    """A dict for each configuration: parameters, mean and std of its scores; printed as a table."""

    def __init__(self, parameters, scores, monitor):
        means, spreads = scores.mean(axis=1).tolist(), scores.std(axis=1).tolist()
        rows = zip(parameters, means, spreads, strict=True)
        super().__init__({"parameters": p, "mean": m, "std": s} for p, m, s in rows)
        self.monitor = monitor

    def __repr__(self):
        texts = [", ".join(parameter_texts(row["parameters"])) or "(no parameters)" for row in self]
        width = max(map(len, ["parameters", *texts]))
        lines = [f"{'parameters':{width}}  {self.monitor} mean     std"]
        start = len(self.monitor) + 5
        for text, row in zip(texts, self, strict=True):
            lines.append(f"{text:{width}}  {row['mean']:>{start}.4f}  {row['std']:.4f}")
        return "\n".join(lines)
