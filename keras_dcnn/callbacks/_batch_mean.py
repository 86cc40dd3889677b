"""The values of single batches, of which Keras's logs give the mean since the epoch began."""


class BatchMean:
    """Undoes the running mean: cₜmₜ − cₛmₛ is the sum over the batches s+1…t.

    Batches count equally. The logs are float32, so the value of batch t is right to t·6·10⁻⁸ of
    the mean.
    """

    def __init__(self):
        self._count, self._sum = 0, 0.0

    def step(self, batch, mean):
        """The sum over the batches since the last step, and their number."""
        if batch < self._count:  # a new epoch
            self._count, self._sum = 0, 0.0
        count, total = batch + 1, mean * (batch + 1)
        value, number = total - self._sum, count - self._count
        self._count, self._sum = count, total
        return value, number
