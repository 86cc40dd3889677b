"""Sums that give the mean and covariance of rows: streaming, merged in any order; NumPy only."""

import numpy as np

# 1024 products of at most 128² add up to at most 2²⁴: float32 holds them exactly in any order.
EXACT_ROWS = 1024
MAX_COUNT = 2**47  # for which all sums of 8-bit integers stay below 2⁶³
WIDTH = 48  # columns from which BLAS is fast


class _Sums:
    """Count, lowest and highest value, first and second moment of rows of one dimension.

    With `joint` the second moment is a matrix, else its diagonal only.
    """

    def __init__(self, kind, dimension, joint):
        dtype = "float64" if kind == "float64" else "int64"
        self.kind, self.joint, self.count = kind, joint, 0
        self.low, self.high = np.full(dimension, np.inf), np.full(dimension, -np.inf)
        self.first = np.zeros(dimension, dtype)
        self.second = np.zeros((dimension, dimension) if joint else dimension, dtype)

    def add(self, rows):
        """Take in an array of shape (n, dimension), n > 0, of finite numbers."""
        low, high = reduce_rows(np.minimum.reduce, rows), reduce_rows(np.maximum.reduce, rows)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError("pixels must be finite; got NaN or infinity: remove those images.")
        self._check_count(len(rows))
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        dimension = rows.shape[1]
        step = EXACT_ROWS * max(1, WIDTH // dimension)
        if not self.joint:
            step = min(step, max(1, 2**20 // dimension))
        for start in range(0, len(rows), step):
            self._add_block(rows[start : start + step])

    def merge(self, other):
        """Take in what `other` has seen."""
        self._check_count(other.count)
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        self._merge(other.count, other.first, other.second)

    def covariance(self):
        """Population covariance (divided by the count)."""
        return self._about_mean(self.second, np.outer)

    def variance(self):
        """Its diagonal."""
        return self._about_mean(self.second.diagonal() if self.joint else self.second, np.multiply)

    def _second_moment(self, x):
        return gram(x) if self.joint else reduce_rows(np.add.reduce, np.square(x))

    def _check_count(self, more):
        if self.count + more > MAX_COUNT:
            raise ValueError(f"at most 2**47 rows fit; got {self.count} and {more} more.")


class IntegerSums(_Sums):
    """Exact sums of 8-bit integers: any split, order and merging give the same bits.

    `first` is Σ(x − origin), `second` Σ(x − origin)(x − origin)ᵀ.
    """

    @property
    def origin(self):
        return 128 if self.kind == "uint8" else 0

    def mean(self):
        whole, rest = self._split_mean()
        return whole + self.origin + rest / self.count

    def _add_block(self, rows):
        x = np.subtract(rows, self.origin, dtype="float32" if self.joint else "float64")
        first, second = reduce_rows(np.add.reduce, x), self._second_moment(x)  # whole numbers all
        self._merge(len(rows), first.astype("int64"), second.astype("int64"))

    def _merge(self, count, first, second):
        self.count += count
        self.first += first
        self.second += second

    def _split_mean(self):
        """The whole part of the mean about the origin, and n × the rest, as integers."""
        whole = np.rint(self.first / self.count).astype("int64")
        return whole, self.first - self.count * whole

    def _about_mean(self, second, outer):
        """Moved to the whole part of the mean in integers, so that no digit cancels."""
        whole, rest = self._split_mean()
        second = second - outer(whole, self.first)
        second -= outer(rest, whole)
        second = second / self.count
        rest = rest / self.count
        second -= outer(rest, rest)
        return second


class FloatSums(_Sums):
    """Sums in float64 about the mean, merged after Chan, Golub, LeVeque (1983).

    `first` is the mean, `second` Σ(x − mean)(x − mean)ᵀ.
    """

    def mean(self):
        return self.first.copy()

    def _add_block(self, rows):
        x = rows.astype("float64")
        mean = reduce_rows(np.add.reduce, x) / len(x)
        x -= mean
        self._merge(len(x), mean, self._second_moment(x))

    def _merge(self, count, mean, scatter):
        total = self.count + count
        delta = mean - self.first
        self.second += scatter
        self.second += (np.outer if self.joint else np.multiply)(
            delta, delta * (self.count / total * count)
        )
        self.first += delta * (count / total)
        self.count = total

    def _about_mean(self, second, outer):
        return second / self.count


def make_sums(kind, dimension, joint):
    """The sums for `kind`: "uint8", "int8", or "float64" for all else."""
    return (FloatSums if kind == "float64" else IntegerSums)(kind, dimension, joint)


def gram(x):
    """Σ x xᵀ over the rows of x; short rows lie side by side, for BLAS to be fast."""
    dimension = x.shape[1]
    group = WIDTH // dimension
    if group < 2:
        return x.T @ x
    head = len(x) // group * group
    wide = x[:head].reshape(-1, group * dimension)
    blocks = (wide.T @ wide).reshape(group, dimension, group, dimension)
    rest = x[head:].astype("float64")
    return blocks.diagonal(0, 0, 2).sum(-1, dtype="float64") + rest.T @ rest


def reduce_rows(reduce, rows):
    """`reduce` over the rows; short rows lie side by side, for NumPy to be fast."""
    dimension = rows.shape[1]
    group = max(1, 2048 // dimension)
    head = len(rows) // group * group
    if head:
        wide = reduce(rows[:head].reshape(-1, group * dimension), axis=0)
        rows = np.concatenate([wide.reshape(group, dimension), rows[head:]])
    return reduce(rows, axis=0)
