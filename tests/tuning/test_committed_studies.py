"""The studies in results/studies: their files agree with one another, and the search was worth its time."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "results" / "studies"
STUDIES = sorted(path.parent for path in FOLDER.glob("*/best.yaml"))


@pytest.fixture(params=STUDIES, ids=lambda path: path.name)
def study(request):
    """(folder, rows of trials.csv, number of the best trial, its value as best.yaml states it)."""
    folder = request.param
    head = (folder / "best.yaml").read_text(encoding="utf-8").splitlines()[0]
    number, value = re.search(r"trial (\d+), \S+ ([\d.]+) on validation", head).groups()
    with (folder / "trials.csv").open(encoding="utf-8") as file:
        rows = {int(row["number"]): row for row in csv.DictReader(file)}
    return folder, rows, int(number), float(value)


def test_the_best_is_the_best_and_no_worse_than_the_defaults(study):
    folder, rows, number, value = study
    complete = {key: float(row["value"]) for key, row in rows.items() if row["state"] == "COMPLETE"}
    assert complete[number] == max(complete.values())
    assert complete[number] == pytest.approx(value, abs=5e-5)
    defaults = [key for key, row in rows.items() if row["origin"] == "defaults" and key in complete]
    assert defaults
    assert all(complete[number] >= complete[key] for key in defaults)
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert f"Best: {value:.4f} (trial {number}" in summary
    assert f"Trials: {len(complete)} complete, " in summary
    assert re.search(r"Command: `attnseq (tune|leaderboard) [^`]*`", summary)
    assert not re.search(r"[ =]/\w", summary), "a folder of somebody's machine"


def test_best_yaml_holds_the_best_trials_settings(study):
    folder, rows, number, _ = study
    best = yaml.safe_load((folder / "best.yaml").read_text(encoding="utf-8"))
    settings = json.loads(rows[number]["settings"])
    assert settings
    assert {key: best[key] for key in settings} == settings
    assert {"model", "dataset"} <= set(best)


def test_the_winner_was_scored_on_test_once_a_seed(study):
    folder, _, number, _ = study
    scores = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    assert scores["trial"] == number
    if "Test: not scored." in (folder / "summary.md").read_text(encoding="utf-8"):  # a row of a leaderboard is
        assert scores["runs"] == scores["seeds"] == []
        return
    assert len(scores["runs"]) == len(set(scores["seeds"])) >= 1
    assert len(scores["split_hash"]) == 1
    for name, mean in scores["mean"].items():
        assert mean == pytest.approx(sum(run["test"][name] for run in scores["runs"]) / len(scores["runs"]))
