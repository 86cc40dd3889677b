"""A progress bar for passes over the data that take long."""

import time

DELAY = 2.0  # seconds after which a pass is long


def with_progress(parts, total, description):
    """Yield from `parts`; on a terminal, a bar appears after `DELAY` and goes at the end.

    `total` may be None. An error in a loop over it closes it; who keeps it must do so.
    """
    from rich.console import Console
    from rich.progress import Progress

    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(description, total=total)
    start = time.monotonic()
    try:
        for done, part in enumerate(parts):
            if done and progress.console.is_terminal and time.monotonic() - start >= DELAY:
                progress.start()  # again and again: only the first time does anything
                progress.update(task, completed=done)
            yield part
    finally:
        if progress.live.is_started:
            progress.stop()
