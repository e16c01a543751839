"""The whole way: from the command to best.yaml, and from there to the same score."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import yaml

from recbole_attnseq.cli import main
from recbole_attnseq.errors import UserError
from recbole_attnseq.training.runs import train_and_test
from recbole_attnseq.tuning.choices import make_pruner, make_sampler
from recbole_attnseq.tuning.command import resume_command, tune
from recbole_attnseq.tuning.options import TuneOptions
from recbole_attnseq.tuning.report import dashboard_command


def flags(settings):
    return [f"--{key}={value}" for key, value in settings.items()]


def test_from_the_command_to_the_same_score(settings, space_file, workdir, capsys):
    words = ["tune", "--dataset", "cycle", "--space", space_file, "--trials", "4", "--seeds", "2", "--no_progress"]
    assert main([*words, *flags(settings)]) == 0
    shown = capsys.readouterr().out
    folder = Path("results/studies/AttnSeq-cycle")
    assert {path.name for path in folder.iterdir()} == {
        "best.yaml",
        "trials.csv",
        "study.html",
        "summary.md",
        "test.json",
    }
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert summary.strip() in shown
    assert "Trials: 4 complete, 0 pruned, 0 failed, 0 repeated after a worker's death or an interruption" in summary
    work, clock = map(int, re.search(r"Seconds: (\d+) in trials, (\d+) on the clock", summary).groups())
    assert work == pytest.approx(clock, abs=1), "one worker"
    for text in ("Defaults: 0.", "Best: 0.", "Command: `attnseq tune --dataset cycle", "Commit ", "torch "):
        assert text in summary
    assert "optuna-dashboard sqlite:///results/studies/AttnSeq-cycle.db" in shown

    test = json.loads((folder / "test.json").read_text())
    assert test["seeds"] == [2020, 2021]
    result = train_and_test(
        None, None, [str(folder / "best.yaml")], {"data_path": settings["data_path"], "use_gpu": False}
    )
    assert result["best_valid_result"] == pytest.approx(test["runs"][0]["valid"])
    assert result["test_result"] == pytest.approx(test["runs"][0]["test"])
    value = float(re.search(r"NDCG@5 ([\d.]+) on validation", (folder / "best.yaml").read_text())[1])
    assert result["best_valid_score"] == pytest.approx(value)

    rows = list(csv.DictReader((folder / "trials.csv").open(encoding="utf-8")))
    assert [row["origin"] for row in rows] == ["defaults", "quick", "", ""]
    assert all(float(row["seconds_per_epoch"]) > 0 and float(row["peak_memory_mib"]) > 0 for row in rows)
    assert max(float(row["value"]) for row in rows) == pytest.approx(value)
    assert {row["worker"] for row in rows} == {"0"}, "neither host names nor process ids"

    page = (folder / "study.html").read_text(encoding="utf-8")
    body = page[page.index("</head>") :]
    assert body.count("Plotly.newPlot") == 5
    assert "src=" not in body.replace("src=''", "")

    # Started again, there is nothing left to do; with another metric it is refused.
    again = tune(dataset="cycle", space=space_file, trials=4, seeds=2, progress=False, settings=settings)
    assert len(again["study"].trials) == 4
    assert main([*words, *flags({**settings, "valid_metric": "Hit@5"})]) == 2
    assert "metric: NDCG@5 there, Hit@5 here" in capsys.readouterr().err


def test_a_searched_key_that_is_fixed_is_searched_no_more(settings, space_file, workdir, capsys):
    result = tune(
        dataset="cycle",
        space=space_file,
        trials=2,
        seeds=0,
        progress=False,
        settings={**settings, "learning_rate": 0.02},
    )
    assert capsys.readouterr().out.startswith("searched: weight_decay; fixed by flags or files: learning_rate\n")
    assert all("learning_rate" not in trial.params for trial in result["study"].trials)
    best = yaml.safe_load(Path(result["best_yaml"]).read_text(encoding="utf-8"))
    assert best["learning_rate"] == 0.02
    assert "Test: not scored." in result["summary"]


def test_seed_is_recboles_and_not_the_beginning_of_seeds(settings, space_file, workdir, capsys):
    words = ["tune", "--dataset", "cycle", "--space", space_file, "--trials", "1", "--seeds", "0", "--no_progress"]
    assert main([*words, "--seed=7", *flags({**settings, "epochs": 1})]) == 0
    out = capsys.readouterr().out
    assert "Test: not scored." in out
    assert f"attnseq run --config_files {Path('results/studies/AttnSeq-cycle/best.yaml')} --data_path=" in out
    assert yaml.safe_load(Path("results/studies/AttnSeq-cycle/best.yaml").read_text())["seed"] == 7


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--model", "SASRek"], "unknown model 'SASRek'. Did you mean 'SASRec'?"),
        (["--dataset", "cycel"], "data set 'cycel': no folder"),
        (["--sampler", "tpee"], "unknown sampler 'tpee'. Did you mean 'tpe'?"),
        (["--sampler", "tpe:sed=3"], "unknown argument of sampler TPESampler: 'sed'"),
        (["--sampler", "grid"], "GridSampler is not for the command line; take bruteforce"),
        (["--sampler", "partial_fixed"], "set the fixed keys with --key=value"),
        (["--sampler", "bruteforce"], "and learning_rate in "),
        (["--pruner", "percentile"], "PercentilePruner needs percentile; write PercentilePruner:percentile=VALUE"),
        (["--pruner", "medain"], "unknown pruner 'medain'. Did you mean 'median'?"),
        (["--pruner", "median:n_startup_trials=-1"], "pruner MedianPruner"),
        (["--pruner=median:n_warmup_steps=abc"], "pruner MedianPruner: n_warmup_steps is 'abc'; it takes int."),
        (["--pruner=median:n_warmup_steps=~"], "pruner MedianPruner: n_warmup_steps is nothing; it takes int."),
        (["--pruner=hyperband:reduction_factor=x"], "reduction_factor is 'x'; it takes int."),
        (["--sampler=tpe:seed=x"], "sampler TPESampler: seed is 'x'; it takes int | None."),
        (["--space", "negative.yaml"], "negative.yaml: learning_rate would be tried as -1.0; it takes a number above"),
        (["--storage", "redis://x"], "is of no known kind"),
        (["--space", "none.yaml"], "space file none.yaml does not exist"),
        (["--model", "LINE"], "no space for LINE"),
        (["--trials", "0"], "trials is 0"),
        (["--jobs", "2", "--gpus", "0,1"], "give one of the two"),
        (["--gpus", "0,0"], "names a GPU twice"),
        (["--valid_metric=NDGC@5", "--model", "SASRec"], "valid_metric is NDGC@5"),
        (["--study", "a/b"], "cannot be a folder"),
        (["--grace", "5"], "grace is 5 s"),
        (["--hidden_siz=3"], "hidden_siz"),
        (["--seed=-1"], "seed is -1"),
        (["--device=cuda"], "device is 'cuda', but RecBole chooses it by gpu_id and use_gpu"),
        (["--model=ItemKNN", "--k=5", "--shrink=0"], "fix all that it searches"),
        (["--sampler", "tpe:gamma=["], "'[' is no value"),
        (["--eval_args={'split': {'LS': 'valid_only'}, 'order': 'TO'}", "--seeds", "2"], "makes no test data to score"),
        (["--eval_args={'split': {'RS': [8, 0, 2]}, 'order': 'TO'}"], "decides on validation data"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, answer, settings, workdir, capsys):
    kept = {key: value for key, value in settings.items() if f"--{key}=" not in words[0]}
    Path("negative.yaml").write_text("parameters: {learning_rate: {type: float, low: -1, high: 1}}")
    assert main(["tune", "--dataset", "cycle", "--no_progress", *words, *flags(kept)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert answer in error
    assert not list(workdir.rglob("best.yaml"))


def test_samplers_and_pruners_by_optunas_names():
    sampler = make_sampler("tpe", 5)
    assert isinstance(sampler, optuna.samplers.TPESampler)
    assert (sampler._multivariate, sampler._group, sampler._constant_liar) == (True, True, True)
    assert isinstance(make_sampler("RandomSampler", 1), optuna.samplers.RandomSampler)
    assert make_sampler("tpe:n_startup_trials=3", 5)._n_startup_trials == 3
    assert isinstance(make_pruner("none", 10), optuna.pruners.NopPruner)
    assert isinstance(make_pruner("SuccessiveHalvingPruner", 10), optuna.pruners.SuccessiveHalvingPruner)
    assert make_pruner("hyperband", 40)._max_resource == 40


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("sqlite:///results/studies/a.db", "optuna-dashboard sqlite:///results/studies/a.db"),
        ("journal://my study.journal", "optuna-dashboard 'my study.journal'"),
        ("postgresql://me:secret@host/db", "optuna-dashboard 'postgresql+psycopg://me:***@host/db'"),
        ("grpc://host:13000", "optuna-dashboard URL, with the URL of the storage that the proxy serves"),
    ],
)
def test_the_dashboards_command(url, command, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "psycopg" else None)
    assert dashboard_command(url) == command


def test_options_travel_unchanged_and_the_resume_command_hides_passwords():
    options = TuneOptions(
        model="BPR", dataset="d", gpus=("0", "1"), files=("a.yaml",), settings={"epochs": "3"},
        storage="postgresql://me:secret@host/db", trials=7, fast_batches="grouped", fast_layers=True,
    )  # fmt: skip
    assert TuneOptions.from_json(options.to_json()) == options
    command = resume_command(options)
    assert "secret" not in command
    parts = ("--model BPR", "--trials 7", "--gpus 0,1", "--config_files a.yaml", "--epochs=3", "--fast_batches grouped")
    for part in (*parts, "--fast_layers"):
        assert part in command


def test_a_full_disk_is_one_line_and_leaves_the_old_report(settings, space_file, workdir, monkeypatch):
    options = {
        "dataset": "cycle",
        "space": space_file,
        "trials": 1,
        "seeds": 0,
        "progress": False,
        "settings": settings,
    }
    best = Path(tune(**options)["best_yaml"])
    before = best.read_text(encoding="utf-8")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"cannot be written .*No space left"):
        tune(**options)
    assert best.read_text(encoding="utf-8") == before


def command(settings, space_file, *words):
    return [
        sys.executable, "-m", "recbole_attnseq.cli", "tune", "--dataset", "cycle", "--space", space_file, *words,
        *flags(settings),
    ]  # fmt: skip


def test_ctrl_c_records_the_trial_and_says_how_to_go_on(settings, space_file, workdir):
    settings["epochs"], settings["stopping_step"] = 100000, 100000
    process = subprocess.Popen(
        command(settings, space_file, "--trials", "5", "--no_progress"), stderr=subprocess.PIPE, text=True
    )
    url = f"sqlite:///{workdir}/results/studies/AttnSeq-cycle.db"
    for _ in range(600):
        time.sleep(0.1)
        if Path(url[len("sqlite:///") :]).exists():
            try:
                study = optuna.load_study(storage=url, study_name="AttnSeq-cycle")
            except Exception:  # the tables are being made
                continue
            if any(trial.intermediate_values for trial in study.get_trials(deepcopy=False)):
                break
    process.send_signal(signal.SIGTERM)
    try:
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert "start the same command again:\n  attnseq tune --dataset cycle" in error.replace("\n\n", "\n")
    first = study.trials[0]
    assert (first.state.name, first.user_attrs["reason"]) == ("FAIL", "interrupted")


@pytest.mark.slow
def test_two_jobs_share_a_study(settings, space_file, workdir):
    done = subprocess.run(
        command(settings, space_file, "--trials", "8", "--seeds", "2", "--jobs", "2"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    study = optuna.load_study(storage="sqlite:///results/studies/AttnSeq-cycle.db", study_name="AttnSeq-cycle")
    assert 8 <= len(study.trials) <= 9
    assert len({trial.user_attrs["worker"]["pid"] for trial in study.trials}) == 2
    assert json.loads(Path("results/studies/AttnSeq-cycle/test.json").read_text())["seeds"] == [2020, 2021]


def test_what_defaults_leave_out_can_be_searched_too(settings, workdir):
    Path("space.yaml").write_text(
        "parameters:\n  members: {type: int, low: 1, high: 2}\n  trends: {type: choice, values: [null, [2, 5]]}\n"
    )
    found = tune(
        dataset="cycle", settings={**settings, "epochs": 1}, space="space.yaml", trials=4, sampler="bruteforce",
        seeds=1, progress=False,
    )  # fmt: skip
    rows = list(csv.DictReader(Path("results/studies/AttnSeq-cycle/trials.csv").read_text().splitlines()))
    assert {(row["state"], row["members"], row["trends"]) for row in rows} == {
        ("COMPLETE", members, trends) for members in ("1", "2") for trends in ("", "[2, 5]")
    }
    assert rows[0]["origin"] == "defaults"
    best = max(rows, key=lambda row: float(row["value"]))
    assert found["best_settings"] == json.loads(best["settings"])
    assert yaml.safe_load(Path(found["best_yaml"]).read_text())["members"] == int(best["members"])
