"""Tables of texts and numbers, and the same as CSV in a link."""

import base64
import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple


class Table(NamedTuple):
    """A header and its rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def link(self):
        """The table as a CSV file in a `data:` address."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([self.header, *(map(_plain, row) for row in self.rows)])
        return data_address("text/csv;charset=utf-8", file.getvalue().encode())


def data_address(kind, content):
    """Bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _plain(value):
    """Numbers to seven digits, None as nothing."""
    return f"{value:.7g}" if isinstance(value, float) else value
