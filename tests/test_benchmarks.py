"""The benchmarks' machinery: resuming, limits, the page and its picture. No figure is tested here."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import peers, plot
from benchmarks.child import measured
from benchmarks.growth import operations_a_token
from benchmarks.progress import Progress

HERE = Path(command.__file__).parent


def test_the_page_and_its_picture_are_what_the_records_give(tmp_path: Path) -> None:
    command.write_page(tmp_path)
    for name in ("RESULTS.md", "RESULTS.svg"):
        assert (tmp_path / name).read_text() == (HERE / name).read_text(), "run python -m benchmarks --page"


def spread(median: float) -> dict[str, float]:
    return {"median": median, "min": median * 0.9, "max": median * 1.1}


def test_the_picture_shows_every_measured_case_and_point() -> None:
    models = {f"{model} / AttnSeq": spread(factor) for model, factor in (("SASRec", 166.0), ("GRU4Rec", 25.0))}
    epoch = {"one <set>": models, "absent": {"skipped": "no folder"}}
    growth = {axis: {key: {"microseconds": 7.5}} for axis, key in (("length", "50"), ("items", "1000000"))}
    root = ElementTree.fromstring(plot.picture(epoch, growth))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"166x", "25x", "one <set>, SASRec", "1,000,000"} <= set(texts)
    assert not any("absent" in str(text) for text in texts)
    width = {rect.get("fill"): float(str(rect.get("width"))) for rect in root.iter("{http://www.w3.org/2000/svg}rect")}
    assert width[plot.COLOURS["SASRec"]] > width[plot.COLOURS["GRU4Rec"]] > 0
    assert ElementTree.fromstring(plot.picture(None, growth)) is not None


def test_progress_measures_each_part_once_a_commit(tmp_path: Path) -> None:
    calls: list[str] = []

    def part(name: str) -> str:
        calls.append(name)
        return name

    path = tmp_path / "section.partial.json"
    for commit in ("a", "a", "b"):
        progress = Progress(path, commit)
        assert [progress.once(name, lambda name=name: part(name)) for name in ("x", "y")] == ["x", "y"]  # type: ignore[misc]
    assert calls == ["x", "y", "x", "y"]
    progress.finish()
    assert not path.exists()


@pytest.mark.parametrize(
    ("code", "minutes", "gigabytes", "expected"),
    [
        ("print('noise'); print('{\"a\": 1}')", 1.0, None, {"a": 1}),
        ("raise ValueError('too bad')", 1.0, None, {"failed": "ValueError: too bad"}),
        ("import time; time.sleep(60)", 0.01, None, {"failed": "more than 0.01 min"}),
        ("b = bytearray(3 * 2**30)", 1.0, 1.0, {"failed": "more than 1 GB"}),
    ],
)
def test_a_child_keeps_to_its_limits(
    tmp_path: Path, code: str, minutes: float, gigabytes: float | None, expected: dict[str, object]
) -> None:
    assert measured(["-c", code], folder=tmp_path, minutes=minutes, gigabytes=gigabytes) == expected


def test_attentions_operations_alone_grow_with_the_history() -> None:
    short, long = operations_a_token(50), operations_a_token(1000)
    assert short["layers"] == long["layers"]
    assert long["attention"] / short["attention"] == pytest.approx(1001 / 51)


def test_a_peer_trains_the_last_targets_of_each_user() -> None:
    user = torch.tensor([1] * 60 + [2] * 3 + [3])
    kept = torch.ones_like(user, dtype=torch.bool)
    assert peers.trained(kept, user) == peers.LENGTH + 2
    kept[-2:] = False  # the last of user 2 and all of user 3 belong to validation and test
    assert peers.trained(kept, user) == peers.LENGTH + 1
    assert set(peers.LOSSES) == set(peers.PEERS)
