"""PostgreSQL's share of the memory there is."""

from pathlib import Path

import pytest

from quorate.store.embedded.memory import MB, buffers_mb, installed_bytes


@pytest.mark.parametrize(("memory_mb", "buffers"), [(256, 128), (1024, 128), (4096, 512), (8192, 1024), (65536, 1024)])
def test_pages_are_kept_in_an_eighth_of_the_memory_within_bounds(memory_mb: int, buffers: int) -> None:
    assert buffers_mb(memory_mb * MB) == buffers


def test_a_control_group_that_allows_less_is_what_counts(tmp_path: Path) -> None:
    tight, free, absent = tmp_path / "tight", tmp_path / "free", tmp_path / "absent"
    tight.write_text(f"{64 * MB}\n")
    free.write_text("max\n")

    assert installed_bytes((absent, free)) > 64 * MB
    assert installed_bytes((absent, free, tight)) == 64 * MB
