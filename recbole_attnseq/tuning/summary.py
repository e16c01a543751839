"""A study on one screen: what came out, from what, at what cost, and how to run it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from optuna.trial import TrialState

from recbole_attnseq.training.provenance import commit, hardware, versions
from recbole_attnseq.tuning.bookkeeping import REASON, failures, history
from recbole_attnseq.tuning.problem import Problem


def summary(
    study: Any,
    problem: Problem,
    best: Any,
    runs: list[Any],
    scores: dict[str, Any],
    command: str,
    faults: Sequence[str] = (),
) -> str:
    """The study as Markdown.

    Args:
        study: the searched study.
        problem: what was tuned.
        best: its best trial.
        runs: the winner's runs on test.
        scores: their mean and standard deviation, see :func:`recbole_attnseq.tuning.report.test_scores`.
        command: the command line that goes on with the search.
        faults: why runs of the winner failed.
    """
    trials = study.get_trials(deepcopy=False)
    parts = [
        f"# {study.study_name}",
        f"{problem.model} on {problem.dataset}, {problem.metric} on validation, split {problem.split_hash()}.",
        "\n".join(_counts(trials)),
        "\n".join(_values(trials, best)),
        "\n".join(f"    {key}: {value}" for key, value in best.user_attrs["settings"].items()),
        "\n".join(_faults(trials)),
        _test(runs, scores),
        "\n".join(f"Failed on test, {fault}; the same command runs it again." for fault in faults),
        f"Command: `{command}`",
        _provenance(),
    ]
    return "\n\n".join(filter(None, parts))


def _counts(trials: list[Any]) -> list[str]:
    states = Counter(trial.state for trial in trials)
    repeated = {number for trial in trials for number in history(trial)}
    failed, left = len(failures(trials)), states[TrialState.WAITING] + states[TrialState.RUNNING]
    ended = [trial for trial in trials if trial.duration is not None]
    work = sum(trial.duration.total_seconds() for trial in ended)
    # The clock of one start to another's end would count the nights between; a trial's own time does not.
    return [
        f"Trials: {states[TrialState.COMPLETE]} complete, {states[TrialState.PRUNED]} pruned, {failed} failed, "
        f"{len(repeated)} repeated after a worker's death or an interruption, {left} left.",
        f"Seconds: {work:.0f} in trials, {_elapsed(ended):.0f} on the clock while any ran.",
    ]


def _elapsed(trials: list[Any]) -> float:
    """Seconds during which at least one trial was running."""
    seconds, until = 0.0, None
    for trial in sorted(trials, key=lambda trial: trial.datetime_start):
        begin = trial.datetime_start if until is None else max(until, trial.datetime_start)
        if trial.datetime_complete > begin:
            seconds += (trial.datetime_complete - begin).total_seconds()
            until = trial.datetime_complete
    return seconds


def _values(trials: list[Any], best: Any) -> list[str]:
    lines = []
    for trial in trials:
        if trial.user_attrs.get("origin") == "defaults" and trial.state == TrialState.COMPLETE:
            lines.append(f"Defaults: {trial.value:.4f} (trial {trial.number}).")
        elif trial.user_attrs.get("origin") == "defaults" and trial.state == TrialState.PRUNED:
            lines.append(
                f"Defaults: pruned (trial {trial.number}, {trial.user_attrs.get('pruned', 'no reason kept')})."
            )
    origin = best.user_attrs.get("origin")
    lines.append(f"Best: {best.value:.4f} (trial {best.number}{f', {origin}' if origin else ''}), with")
    return lines


def _faults(trials: list[Any]) -> list[str]:
    reasons = Counter(
        str(trial.user_attrs.get(REASON, "its worker was killed again and again")) for trial in failures(trials)
    )
    return ["Failed:", *(f"- {count} x {reason}" for reason, count in reasons.most_common(5))] if reasons else []


def _test(runs: list[Any], scores: dict[str, Any]) -> str:
    if not runs:
        return "Test: not scored."
    rows = ["| Test metric | mean | sd |", "|---|---|---|"]
    for name, mean in scores["mean"].items():
        sd = scores["sd"][name]
        rows.append(f"| {name} | {mean:.4f} | {'' if sd is None else f'{sd:.4f}'} |")
    seconds = sum(run.duration.total_seconds() for run in runs)
    return (
        f"The winner on test, once a seed, {len(runs)} seeds ({', '.join(map(str, scores['seeds']))}), "
        f"{seconds:.0f} seconds:\n\n" + "\n".join(rows)
    )


def _provenance() -> str:
    machine, packages = hardware(), versions()
    names = ("python", "recbole", "torch", "optuna")
    return (
        f"Commit {commit()}; {', '.join(f'{name} {packages[name]}' for name in names if name in packages)}; "
        f"{machine['processor']}, {machine['cores']} cores" + (f", {machine['gpu']}." if machine["gpu"] else ".")
    )
