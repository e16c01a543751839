"""What a search leaves behind: best.yaml, trials.csv, study.html, summary.md, test.json."""

from __future__ import annotations

import html
import json
import os
import shlex
import statistics
import warnings
from collections.abc import Callable
from typing import Any

import optuna
import yaml
from optuna.trial import TrialState

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.processes import write_whole
from recbole_attnseq.tuning.bookkeeping import REASON
from recbole_attnseq.tuning.problem import Problem
from recbole_attnseq.tuning.storages import shown, with_driver
from recbole_attnseq.tuning.study import failed_runs, final_name, winner
from recbole_attnseq.tuning.summary import summary

_ATTRS = (
    "origin", "reason", "pruned", "seconds", "seconds_per_epoch", "epochs", "peak_memory_mib", "gpu_memory_mib",
    "settings", "valid", "worker",
)  # fmt: skip


def write_report(folder: str, study: Any, problem: Problem, storage: Any, command: str) -> str:
    """Write all files of a study and return the summary.

    Args:
        folder: where to; made if need be.
        study: the searched study.
        problem: what was tuned.
        storage: where the winner's runs are.
        command: the command line that goes on with the search, for the summary.

    Raises:
        UserError: no trial completed, or the files cannot be written (disk full, no permission).
    """
    try:
        os.makedirs(folder, exist_ok=True)
        write_whole(os.path.join(folder, "trials.csv"), _table(study))
        best = winner(study)
        runs = winner_runs(storage, study, best.number)
        write_whole(os.path.join(folder, "best.yaml"), best_yaml(study, problem, best))
        scores = test_scores(runs, best.number)
        write_whole(os.path.join(folder, "test.json"), json.dumps(scores, indent=2) + "\n")
        text = summary(study, problem, best, runs, scores, command, _faults(storage, study, best.number))
        write_whole(os.path.join(folder, "summary.md"), text + "\n")
        write_whole(os.path.join(folder, "study.html"), page(study, text))
    except OSError as error:
        raise UserError(
            f"the results cannot be written to {folder} ({error.strerror or error}). The study itself is safe; "
            "make room and start the same command again: only the report is left to do."
        ) from error
    return text


def _table(study: Any) -> str:
    frame = study.trials_dataframe(
        attrs=("number", "state", "value", "datetime_start", "duration", "params", "user_attrs")
    )
    kept = [name for name in frame if not name.startswith("user_attrs_") or name[len("user_attrs_") :] in _ATTRS]
    frame = frame[kept].rename(columns=lambda name: name.removeprefix("user_attrs_").removeprefix("params_"))
    for name in ("settings", "valid"):
        if name in frame:
            frame[name] = frame[name].map(lambda value: json.dumps(value) if isinstance(value, dict) else "")
    if "worker" in frame:
        # Host names and process ids are nobody else's business; which trials shared a worker is of use.
        numbers: dict[str, int] = {}
        frame["worker"] = frame["worker"].map(
            lambda value: numbers.setdefault(json.dumps(value), len(numbers)) if isinstance(value, dict) else ""
        )
    return str(frame.to_csv(index=False))


def best_yaml(study: Any, problem: Problem, best: Any) -> str:
    """The winner as a configuration file that ``attnseq run --config_files`` takes as it is."""
    local = {"gpu_id", "use_gpu", "data_path", "checkpoint_dir", "show_progress", "state"}
    fixed = {key: value for key, value in problem.fixed.items() if key not in local}
    settings = {"model": problem.model, "dataset": problem.dataset, **fixed, **best.user_attrs["settings"]}
    plain = json.loads(json.dumps(settings, default=str))
    return (
        f"# Best of study {study.study_name}: trial {best.number}, {problem.metric} {best.value:.4f} on validation.\n"
        "# Run it with: attnseq run --config_files best.yaml (and --data_path, where the data lie outside dataset/)\n"
        + yaml.safe_dump(plain, sort_keys=False)
    )


def winner_runs(storage: Any, study: Any, number: int) -> list[Any]:
    """The winner's complete runs, one a seed, by seed; none before they have begun."""
    try:
        runs = optuna.load_study(storage=storage, study_name=final_name(study, number))
    except KeyError:
        return []
    done = {t.params["seed"]: t for t in runs.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
    return [done[seed] for seed in sorted(done)]


def _faults(storage: Any, study: Any, number: int) -> list[str]:
    """Why runs of the winner failed that have not succeeded since."""
    try:
        trials = optuna.load_study(storage=storage, study_name=final_name(study, number)).get_trials(deepcopy=False)
    except KeyError:
        return []
    done = {trial.params["seed"] for trial in trials if trial.state == TrialState.COMPLETE}
    return [
        f"seed {trial.user_attrs['preset']['seed']}: {trial.user_attrs[REASON]}"
        for trial in failed_runs(trials)
        if trial.user_attrs["preset"]["seed"] not in done
    ]


def test_scores(runs: list[Any], number: int) -> dict[str, Any]:
    """Mean and standard deviation over seeds of every test metric, and the runs themselves."""
    names = list(runs[0].user_attrs["test"]) if runs else []
    values = {name: [run.user_attrs["test"][name] for run in runs] for name in names}
    return {
        "trial": number,
        "seeds": [run.params["seed"] for run in runs],
        "mean": {name: statistics.fmean(scores) for name, scores in values.items()},
        "sd": {name: statistics.stdev(scores) if len(scores) > 1 else None for name, scores in values.items()},
        "split_hash": sorted({run.user_attrs.get("split_hash", "") for run in runs}),
        "runs": [
            {"seed": run.params["seed"], "valid": run.user_attrs["valid"], "test": run.user_attrs["test"]}
            for run in runs
        ],
    }


def page(study: Any, text: str) -> str:
    """One HTML file with Optuna's own plots; it opens without a network."""
    import plotly.offline
    from optuna import visualization as show

    plots: list[tuple[str, Callable[[Any], Any]]] = [
        ("History", show.plot_optimization_history),
        ("Validation by epoch", show.plot_intermediate_values),
        ("Importance of parameters", show.plot_param_importances),
        ("Slices", show.plot_slice),
        ("Parallel coordinates", show.plot_parallel_coordinate),
    ]
    title = html.escape(str(study.study_name))
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        "<meta name='viewport' content='width=device-width'>"
        "<style>body{font-family:sans-serif;margin:2em;max-width:80em}pre{white-space:pre-wrap}</style>"
        f"<script>{plotly.offline.get_plotlyjs()}</script></head><body><pre>{html.escape(text)}</pre>"
    ]
    for name, plot in plots:
        parts.append(f"<h2>{name}</h2>" + _figure(study, plot))
    return "\n".join(parts) + "</body></html>\n"


def _figure(study: Any, plot: Callable[[Any], Any]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figure: str = plot(study).to_html(full_html=False, include_plotlyjs=False)
        return figure
    except (ValueError, RuntimeError, ImportError, ZeroDivisionError) as error:
        # Importance needs two complete trials with different values; the other plots still stand.
        return f"<p>Not to be had from this study: {html.escape(str(error))}</p>"


def dashboard_command(url: str) -> str:
    """The command that opens Optuna's dashboard on a storage; a password is left for the reader to fill in."""
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme == "grpc":  # the dashboard reads a storage itself
        return "optuna-dashboard URL, with the URL of the storage that the proxy serves"
    if scheme in ("postgresql", "mysql"):
        url = shown(with_driver(url, scheme))
    return shlex.join(["optuna-dashboard", url.removeprefix("journal://")])
