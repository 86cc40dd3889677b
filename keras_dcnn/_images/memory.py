"""How much memory there is, and whether images fit in it."""

import os
from pathlib import Path

_COPIES = 2.5  # of the arrays in a training: TensorFlow makes tensors of them
_WHERE_UNKNOWN = 2 * 2**30
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def free_memory():
    """Bytes that this process may still take, also in a container; None where nobody knows."""
    known = [_of_machine(), _of_container("memory.max", "memory.current"), _of_container_v1()]
    known = [one for one in known if one is not None]
    return min(known) if known else None


def fits(num_bytes):
    """Whether arrays of so many bytes may be held and trained on."""
    free = free_memory()
    return _COPIES * num_bytes <= (_WHERE_UNKNOWN if free is None else free)


def in_words(num_bytes):
    """Bytes as a person says them."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes:.0f} bytes"


def _of_machine():
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # macOS
    except (AttributeError, ValueError, OSError):
        return None


def _of_container(limit, used):
    """What a control group leaves; https://docs.kernel.org/admin-guide/cgroup-v2.html."""
    try:
        numbers = [(_CGROUP / name).read_text(encoding="ascii").strip() for name in (limit, used)]
        most, now = map(int, numbers)
    except (OSError, ValueError):  # none, or "max"
        return None
    return max(most - now, 0) if most < 2**60 else None


def _of_container_v1():
    return _of_container("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")
