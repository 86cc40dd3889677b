"""A text file that grows by whole rows, and is cut back to what a state knows of it."""

import contextlib
import os


class RowFile:
    """`length` is how many bytes of the file are this run's, or None before it is begun."""

    def __init__(self, path, header):
        self.path = path
        self.length = None
        self._header = header.encode()

    def open(self):
        """Begin the file, or cut off what came after `length`; False when rows are missing.

        Raises ValueError when the file holds rows of another run.
        """
        if self.path.is_dir():
            raise ValueError(
                f"`path` must be a file; {self.path} is a directory: name a file in it, such as "
                f"{self.path / 'loss.csv'}."
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size = self._size()
        if self.length is None:
            # Of a run that was killed before its first row there is the header, or a part of it.
            if size > len(self._header) or (
                size and not self._header.startswith(self.path.read_bytes())
            ):
                raise ValueError(
                    f"`path` must be a new or an empty file; {self.path} holds {size} bytes "
                    "that are not of this run: choose another path, or delete it."
                )
            self.length = 0
        whole = size >= self.length
        self.append([])
        return whole

    def append(self, rows):
        """Write rows after those that are there, safely on disk when this returns."""
        data = "".join(rows).encode()
        end = min(self.length, self._size())
        data = data if end else self._header + data
        try:
            with open(self.path, "r+b" if end else "wb") as file:
                file.truncate(end)
                file.seek(end)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self.path, end)  # no half row
            raise
        self.length = end + len(data)

    def _size(self):
        return self.path.stat().st_size if self.path.exists() else 0
