"""Columns made of others."""

from __future__ import annotations

import pyarrow as pa

from recbole_attnseq.data.prepare.sources.columns import explode


def test_lists_of_a_row_that_are_not_equally_long_are_not_aligned() -> None:
    """However long they are together: another row's times are not this one's."""
    batch = {
        "user": pa.array(["a", "b", "c", "d"]),
        "item": pa.array([[1, 2], [3], None, [4, 5]]),
        "time": pa.array([[10], [20, 30], None, [40, 50]]),
    }
    found = {name: column.to_pylist() for name, column in explode(("item", "time"), ("user",))(batch).items()}
    assert found == {
        "item": [1, 2, 3, 4, 5],
        "time": [None, None, None, 40, 50],
        "user": ["a", "a", "b", "d", "d"],
    }
