"""Linear models in NumPy and scikit-learn: scaling, fits along a path of C, folds, temperature."""

import contextlib
import warnings

import numpy as np

# Of C, the strongest regularisation first, for rows of a mean square of 1. Beyond the last an SVM
# of separable classes is the same, and takes long.
GRIDS = {
    "logistic": tuple(10.0**power for power in range(-1, 4)),
    "svm": tuple(10.0**power for power in range(-2, 3)),
}
FOLDS, SEED = 5, 0
MANY = 2_000  # rows of which one fold tells as much as all


class Standardized:
    """Rows of which each column has mean 0, all of a layer the same variance, and mean square 1.

    Layers stand side by side, from the input to the output; `widths` says how many columns each
    has. A layer counts by its place, 1, 2, 3, …, and not by its channels: over 12 draws of 5 images
    a class, that was better than alike by 0 to 3 points on photographs, clothes and digits. A
    column that is constant but for rounding counts for nothing.
    """

    def __init__(self, rows, weights, widths):
        rows = np.asarray(rows, "float64")
        self._mean = np.average(rows, axis=0, weights=weights)
        deviation = np.sqrt(np.average((rows - self._mean) ** 2, axis=0, weights=weights))
        constant = deviation <= 1e-7 * np.abs(self._mean)
        self.scale = np.where(constant, 0.0, 1 / np.where(constant, 1.0, deviation))
        places = np.arange(1, len(widths) + 1)
        self.scale *= np.repeat(np.sqrt(places / places.sum() / widths), widths)
        self.rows = self.of(rows)

    def of(self, rows):
        """Other rows likewise."""
        return (np.asarray(rows, "float64") - self._mean) * self.scale

    def undone(self, kernel, bias):
        """Kernel and bias for rows as they are."""
        kernel = kernel * self.scale[:, None]
        return kernel, bias - self._mean @ kernel


class Selected:
    """The share of the columns with the highest relevance, turned to as few as there are rows.

    L2 does not see the turn: a model of few rows with many columns is the same after it, and takes
    the time of the rows alone. The relevance of a column is the norm of its row in the kernel of a
    ridge regression to the classes, as Head2Toe takes that of a fitted head.
    """

    def __init__(self, rows, y, weights, share):
        self._columns, self._size, self._turn = slice(None), rows.shape[1], None
        if share < 1:
            order = np.argsort(-_relevance(rows, y, weights), kind="stable")
            self._columns = np.sort(order[: max(1, round(share * len(order)))])
            rows = rows[:, self._columns]
        self._unit = 1 / np.sqrt(max((rows**2).sum(1).mean(), np.finfo("float32").tiny))
        if len(rows) < rows.shape[1]:
            squares, vectors = np.linalg.eigh(rows @ rows.T)
            squares = np.maximum(squares, np.finfo("float32").tiny)  # a layer may be constant
            kept = squares > 1e-10 * squares[-1]
            self._turn = rows.T @ (vectors[:, kept] / np.sqrt(squares[kept]))

    def of(self, rows):
        """These columns of rows."""
        rows = rows[:, self._columns] * self._unit
        return rows if self._turn is None else rows @ self._turn

    def undone(self, kernel):
        """The kernel for all columns."""
        whole = np.zeros((self._size, kernel.shape[1]))
        whole[self._columns] = self._unit * (kernel if self._turn is None else self._turn @ kernel)
        return whole


def _relevance(rows, y, weights):
    """Norms of the rows of (XᵀWX + αI)⁻¹ XᵀWY, of centred classes Y; α is the mean eigenvalue."""
    classes = np.eye(y.max() + 1)[y]
    classes = classes - np.average(classes, axis=0, weights=weights)
    root = np.sqrt(weights)[:, None]
    x, classes = rows * root, classes * root
    alpha = max((x**2).sum() / min(x.shape), np.finfo("float32").tiny)
    if len(x) < x.shape[1]:
        kernel = x.T @ np.linalg.solve(x @ x.T + alpha * np.eye(len(x)), classes)
    else:
        kernel = np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T @ classes)
    return np.linalg.norm(kernel, axis=1)


def path(head, rows, y, weights):
    """Kernel and bias of the fit for each C of the grid, the strongest regularisation first."""
    model = estimator(head)
    for C in GRIDS[head]:
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
        return LinearSVC(intercept_scaling=10, random_state=SEED)
    return LogisticRegression(warm_start=True, tol=1e-5, max_iter=1_000)


def fitted(model, rows, y, weights):
    """The model, fitted; where it stopped before the optimum, held-out rows judge it as it is."""
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
    rng, number, start = np.random.default_rng(SEED), np.full(len(y), -1), 0
    for one in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == one))
        if len(rows) > 1:
            number[rows] = (start + np.arange(len(rows))) % FOLDS
            start += len(rows)
    used = range(1 if len(y) > MANY else min(FOLDS, start))
    return [(np.flatnonzero(number != i), np.flatnonzero(number == i)) for i in used]


def calibrated(scores, y, weights):
    """The temperature T of softmax(scores / T) of the least cross-entropy, and that of each row.

    Each row counts a little as one of any class, as in Platt's targets, so that T stays above 0
    where all rows are right.
    """
    from scipy.optimize import minimize_scalar

    targets = np.full(scores.shape, 1 / (len(y) + scores.shape[1]))
    targets[np.arange(len(y)), y] += 1 - targets.sum(axis=1)
    unit = max(np.abs(scores).mean(), np.finfo("float32").tiny)

    def losses(log_t):
        z = scores / (unit * np.exp(log_t))
        z = z - z.max(axis=1, keepdims=True)
        return np.log(np.exp(z).sum(axis=1)) - (targets * z).sum(axis=1)

    def loss(log_t):
        return np.average(losses(log_t), weights=weights)

    best = minimize_scalar(loss, bounds=(-7, 7), method="bounded").x
    return unit * np.exp(best), losses(best)


@contextlib.contextmanager
def one_thread():
    """Within, BLAS has one thread: in products so small several wait for each other, up to a
    hundred times as long as they work where other processes have the cores."""
    try:
        from threadpoolctl import threadpool_limits  # comes with scikit-learn
    except ImportError:
        yield
        return
    with threadpool_limits(1, user_api="blas"):
        yield
