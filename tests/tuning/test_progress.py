"""The progress bar: done, best, time left, and few lines where nobody watches."""

from __future__ import annotations

import io
import sys
import time

import optuna
import pytest

from recbole_attnseq.tuning.progress import Progress


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def watched(monkeypatch, direction, terminal=True, deadline=None, draws=30):
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    study = optuna.create_study(direction=direction)
    bar = Progress(study, 4, deadline, 3, "s")
    for value in (0.25, 0.75):
        study.add_trial(optuna.trial.create_trial(value=value, state=optuna.trial.TrialState.COMPLETE))
    bar.bar.start_t -= 60  # as if the two had taken a minute
    for _ in range(draws):
        bar.note("trial 2 epoch 1 0.5000")
        bar.refresh()
    bar.close()
    return screen.getvalue()


@pytest.mark.parametrize(("direction", "best"), [("maximize", "best 0.7500"), ("minimize", "best 0.2500")])
def test_it_shows_what_is_done_the_best_and_the_time_left(monkeypatch, direction, best):
    last = watched(monkeypatch, direction).replace("\n", "").split("\r")[-1]
    assert "2/4" in last
    assert best in last
    assert "01:00<01:00" in last, "two trials took a minute, and two are left"
    assert "trial 2 epoch 1" in last


def test_with_a_time_limit_it_shows_what_is_left_of_it(monkeypatch):
    assert "60 min left" in watched(monkeypatch, "maximize", deadline=time.monotonic() + 3600)


def test_a_log_file_is_not_filled(monkeypatch):
    assert watched(monkeypatch, "maximize", terminal=False, draws=500).count("\r") < 6
