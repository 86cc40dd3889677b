"""How much memory is free: of the machine, and of a container in it."""

import pytest

from keras_dcnn._images import memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 8 GB, 6 of them free, and a place for its control groups."""
    (tmp_path / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable:    6000000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


def test_of_a_machine(machine):
    assert memory.free_memory() == 6_000_000 * 1024
    assert memory.fits(2e9)
    assert not memory.fits(4e9)  # which a training needs more than twice


@pytest.mark.parametrize(("limit", "free"), [("2000000000", 1.5e9), ("max", 6_000_000 * 1024)])
def test_of_a_container(machine, limit, free):
    (machine / "memory.max").write_text(f"{limit}\n")
    (machine / "memory.current").write_text("500000000\n")
    assert memory.free_memory() == free


def test_of_a_container_of_the_first_kind(machine):
    (machine / "memory").mkdir()
    (machine / "memory" / "memory.limit_in_bytes").write_text("3000000000")
    (machine / "memory" / "memory.usage_in_bytes").write_text("1000000000")
    assert memory.free_memory() == 2e9


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 bytes"), (12_300, "12.3 kB"), (7.5e9, "7.5 GB"), (2e12, "2 TB")]
)
def test_in_words(count, text):
    assert memory.in_words(count) == text
