"""Peak of the anonymous memory that `adapt` takes on a memory map of so many images, in MiB.

Usage: python benchmarks/memory.py COUNT

Anonymous memory leaves out the pages of the file, which the system may drop at any time.
"""

import sys
import tempfile
import threading
from pathlib import Path

from measure import SIZE, images


def anonymous_memory():
    """RssAnon of this process, in MiB."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


class Peak(threading.Thread):
    """Looks at the memory a thousand times a second until stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.start_value = self.value = anonymous_memory()
        self._done = threading.Event()

    def run(self):
        while not self._done.wait(0.001):
            self.value = max(self.value, anonymous_memory())

    def stop(self):
        """The peak above the start."""
        self._done.set()
        return max(self.value, anonymous_memory()) - self.start_value


def main(count):
    import numpy as np

    from keras_dcnn.layers import FancyPCA

    with tempfile.TemporaryDirectory() as folder:
        shape = (count, SIZE, SIZE, 3)
        data = np.lib.format.open_memmap(Path(folder, "images.npy"), "w+", "uint8", shape)
        data[:64] = images()  # the rest of the file is sparse, and zero
        data.flush()
        layer = FancyPCA()
        layer.adapt(data[:1])  # what is loaded once is not counted
        peak = Peak()
        peak.start()
        layer.adapt(data)
        print(peak.stop())


if __name__ == "__main__":
    main(int(sys.argv[1]))
