"""Linear models in NumPy and scikit-learn: scaling, fits along a path of C, folds, temperature."""

import contextlib
import warnings

import numpy as np

GRID = tuple(10.0**power for power in range(-5, 2))  # of C, the strongest regularisation first
FOLDS, SEED = 5, 0
MANY = 5_000  # rows of which one fold tells as much as all


class Scaled:
    """Rows with mean 0 and deviation 1 in each column, turned to as few columns as rows.

    L2 does not see the turn, so a model of few rows in many columns is the same, and is fitted in
    the time of the rows alone. A column that is constant stays out.
    """

    def __init__(self, rows, weights):
        rows = np.asarray(rows, "float64")
        self._mean = np.average(rows, axis=0, weights=weights)
        deviation = np.sqrt(np.average((rows - self._mean) ** 2, axis=0, weights=weights))
        constant = deviation <= 1e-7 * np.abs(self._mean)
        self._scale = np.where(constant, 0.0, 1 / np.where(constant, 1.0, deviation))
        self._turn, scaled = None, (rows - self._mean) * self._scale
        if len(rows) < rows.shape[1]:
            squares, vectors = np.linalg.eigh(scaled @ scaled.T)
            kept = squares > 1e-10 * max(squares[-1], np.finfo("float64").tiny)
            self._turn = scaled.T @ (vectors[:, kept] / np.sqrt(squares[kept]))
            scaled = scaled @ self._turn
        self.rows = scaled

    def of(self, rows):
        """Other rows likewise."""
        rows = (np.asarray(rows, "float64") - self._mean) * self._scale
        return rows if self._turn is None else rows @ self._turn

    def unscaled(self, kernel, bias):
        """Kernel and bias for rows as they are."""
        if self._turn is not None:
            kernel = self._turn @ kernel
        kernel = kernel * self._scale[:, None]
        return kernel, bias - self._mean @ kernel


def path(head, rows, y, weights):
    """Kernel and bias of the fit for each C of the grid, the strongest regularisation first."""
    model = estimator(head)
    for C in GRID:
        yield coefficients(fitted(model.set_params(C=C), rows, y, weights))


def estimator(head):
    """That of scikit-learn."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise ImportError(
            'a linear head needs scikit-learn: pip install "keras_dcnn[ensemble]".'
        ) from error
    if head == "svm":
        return LinearSVC(intercept_scaling=10, max_iter=2_000, random_state=SEED)
    return LogisticRegression(warm_start=True, max_iter=1_000)


def fitted(model, rows, y, weights):
    """The model, fitted; where it stopped before the optimum is held-out rows' to judge."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows, y, sample_weight=weights)


def coefficients(model):
    """Kernel (columns, classes) and bias; of two classes the one is the other's negative."""
    kernel, bias = np.array(model.coef_.T), np.array(model.intercept_)
    if kernel.shape[1] == 1:
        return np.hstack([-kernel, kernel]) / 2, np.hstack([-bias, bias]) / 2
    return kernel, bias


def folds_of(y):
    """(numbers to train on, numbers to hold out), in each fold a share of each class.

    A class of one row is trained on in all of them; of many rows one fold is enough.
    """
    rng, number = np.random.default_rng(SEED), np.full(len(y), -1)
    start = 0
    for one in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == one))
        if len(rows) > 1:
            number[rows] = (start + np.arange(len(rows))) % FOLDS
            start += len(rows)
    used = range(1 if len(y) > MANY else FOLDS)
    return [(np.flatnonzero(number != i), np.flatnonzero(number == i)) for i in used]


def temperature(scores, y, weights):
    """T of softmax(scores / T) with the least cross-entropy on held-out rows.

    Each row counts as one more that is of any class, as in Platt's targets, so that T stays above 0
    where all rows are right.
    """
    from scipy.optimize import minimize_scalar

    told = np.isfinite(scores).all(axis=1)
    scores, y, weights = scores[told], y[told], weights[told]
    classes = scores.shape[1]
    targets = np.full(scores.shape, 1 / (len(y) + classes))
    targets[np.arange(len(y)), y] += 1 - targets.sum(axis=1)
    unit = max(np.abs(scores).mean(), np.finfo("float32").tiny)

    def loss(log_t):
        z = scores / (unit * np.exp(log_t))
        z -= z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return -np.average((targets * log_p).sum(axis=1), weights=weights)

    return unit * np.exp(minimize_scalar(loss, bounds=(-7, 7), method="bounded").x)


@contextlib.contextmanager
def one_thread():
    """Within, BLAS has one thread: for so small products several wait for each other more than they
    work, up to a hundred times as long where other processes have the cores."""
    from threadpoolctl import threadpool_limits  # with scikit-learn

    with threadpool_limits(1, user_api="blas"):
        yield
