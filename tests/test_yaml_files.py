"""YAML files of people's: nothing is lost without a word, and every fault names its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.training.checks import read_files
from recbole_attnseq.tuning.space_files import load_space
from recbole_attnseq.yaml_files import read_yaml

READERS = {"board": read_board, "config file": lambda path: read_files([path]), "space": load_space}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: {c: 1}\na: 1\n", r"x\.yaml:3: 'a' is given twice, first in line 1"),
        ("a:\n  c: 1\n  d: 2\n  'c': 3\n", r"x\.yaml:4: 'c' is given twice, first in line 2"),
        ("a: {1: x, 1: y}\n", r"x\.yaml:1: '1' is given twice"),
        ("a: 2024-13-45\n", r"x\.yaml: not valid YAML \(month must be"),
        ("a: [1\n", r"x\.yaml:2: not valid YAML"),
    ],
)
def test_faults_are_named_whoever_reads(tmp_path: Path, reader: str, text: str, words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        READERS[reader](str(path))


def test_merges_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "one: &one {a: 1, b: 2}\ntwo: &two {<<: *one, b: 3}\nthree: {b: 4, <<: *two}\nfour: {<<: [*one, *two], c: 1}\n"
        "five: {<<: *one, <<: *two}\n"
    )
    values = read_yaml(path, "file")
    assert values["three"] == {"a": 1, "b": 4}
    assert values["four"] == {"a": 1, "b": 2, "c": 1}
    assert set(values["five"]) == {"a", "b"}
