"""The command with real runs on tiny data: nothing twice, a crash fails one cell, a kill changes nothing."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from recbole_attnseq import cli, run_command
from recbole_attnseq.leaderboard import runner
from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.leaderboard.cells import Cell, cells_of, write_failure
from recbole_attnseq.leaderboard.records import read_record
from recbole_attnseq.leaderboard.runner import ALLOCATOR, Places, _run, _spent, claimed, log_path, snapshot_path
from recbole_attnseq.nn.user_encoders import USER_ENCODERS
from recbole_attnseq.training.session import by_user, configure, train
from recbole_attnseq.training.snapshots import Snapshot
from tests.leaderboard.fakes import fake_record, ranks, write_board

SMALL: dict[str, Any] = {"hidden_size": 16, "inner_size": 16, "n_layers": 1, "use_gpu": False}
RUNS = Path("results/runs")


def _leaderboard(*flags: str) -> int:
    return cli.main(
        ["leaderboard", "--config", "boards/tiny.yaml", "--data_path", "dataset", "--scratch", "scratch", *flags]
    )


def _cell(name: str) -> Cell:
    (cell,) = [c for c in cells_of(read_board("boards/tiny.yaml"), Path("results/studies")) if c.row.name == name]
    return cell


def test_a_crash_fails_one_cell_and_a_second_start_runs_only_what_is_missing(
    tiny: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The budget holds no row of scores, which shows when the first epoch is validated.
    models = {
        "cramped": {"model": "AttnSeq", "settings": {**SMALL, "memory_budget": 0.00001}},
        "small": {"model": "AttnSeq", "settings": {**SMALL, "topk": [5, 10]}},
    }
    write_board(workdir / "boards", models)
    assert _leaderboard() == 2
    printed = capsys.readouterr()
    assert "1 of 2 cells have no result: tiny / cramped / seed 2020: exit code 2: memory_budget" in printed.err
    assert "[2/2] tiny / small / seed 2020: NDCG@10" in printed.out
    page = (Path("results") / "LEADERBOARD.md").read_text()
    assert "memory_budget holds" in page
    record = read_record(_cell("small").record_path(RUNS))
    assert (record.row, record.protocol["exclude_history"]) == ("small", True)
    assert record.notes["allocator"] == ALLOCATOR
    assert set(record.beyond) >= {"itemcoverage@10", "giniindex@20", "averagepopularity@5", "tailpercentage@10"}
    assert not list(RUNS.glob("*/.locks/*"))

    before = _cell("small").record_path(RUNS).stat().st_mtime_ns
    models["cramped"]["settings"].pop("memory_budget")  # where it runs, not what it computes: the same cell
    write_board(workdir / "boards", models)
    assert _leaderboard() == 0
    assert _cell("small").record_path(RUNS).stat().st_mtime_ns == before
    again = read_record(_cell("cramped").record_path(RUNS))
    assert again.ranks == record.ranks  # one computation, run twice: the metric is the same to the last digit
    assert not _cell("cramped").failure_path(RUNS).exists()
    out = capsys.readouterr().out
    assert "[1/2]" in out
    assert "[2/2]" not in out


def test_a_row_of_the_users_own_code(
    tiny: str, workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An encoder in a file beside the board's, as README has one; when its code changes, its cells are stale."""
    monkeypatch.setattr(USER_ENCODERS, "_parts", dict(USER_ENCODERS._parts))
    code = (
        "from recbole_attnseq.nn.user_encoders import USER_ENCODERS\n"
        "USER_ENCODERS.register('mine')(type('Mine', (USER_ENCODERS['gru'],), {}))\n"
    )
    Path("mine.py").write_text(code)
    row = {"model": "AttnSeq", "settings": {**SMALL, "epochs": 1, "user_encoder": "mine", "extensions": "mine.py"}}
    write_board(workdir / "boards", {"mine": row})
    assert _leaderboard() == 0
    record = read_record(_cell("mine").record_path(RUNS))
    assert record.config["extensions"] == {"mine.py": hashlib.sha256(code.encode()).hexdigest()[:12]}
    Path("mine.py").write_text(code + "# another\n")
    capsys.readouterr()
    assert _leaderboard("--dry-run") == 0
    printed = capsys.readouterr().out
    assert "1 stale" in printed
    assert "was made with extensions {'mine.py'" in printed


def test_own_data_as_prepare_wrote_them(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the folder that prepare makes, with a board that says nothing of columns, by a name in either ending."""
    Path("e.csv").write_text("u,i,t\n" + "".join(f"{u},{(u * u + t) % 29},{t}\n" for u in range(30) for t in range(6)))
    prepare = ["prepare", "generic", "--raw=e.csv", "--user=u", "--item=i", "--time=t", "--out=datasets/mine"]
    assert cli.main([*prepare, "--quiet"]) == 0
    board = write_board(workdir / "boards", {"a | b": {"model": "SASRec", "settings": SMALL}}, datasets={"mine": {}})
    values = yaml.safe_load(board.read_text())
    values["settings"] |= {"epochs": 1, "train_neg_sample_args": None}
    del values["settings"]["load_col"]
    board.unlink()
    board.with_suffix(".yml").write_text(yaml.safe_dump(values))
    command = ["leaderboard", "--config", "boards/tiny.yml", "--data_path", "datasets", "--scratch", "scratch"]
    assert cli.main(command) == 0
    capsys.readouterr()
    assert cli.main([*command, "--dry-run"]) == 0
    assert "1 done" in capsys.readouterr().out
    assert "a \\| b" in (Path("results") / "LEADERBOARD.md").read_text()


def test_a_dry_run_lists_states_and_estimates_and_writes_nothing(
    tiny: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"Pop": {"seeds": [1, 2]}, "AttnSeq": {"settings": SMALL}, "BPR": {"time_limit": 60}}
    write_board(workdir / "boards", models)
    from recbole_attnseq.leaderboard.command import _load

    board = read_board("boards/tiny.yaml")
    split = _load(board, "tiny", Path("dataset")).split_hash
    first = cells_of(board, Path("none"))[0]
    fake_record(first, ranks(1, 0.1), split=split, seconds=33).save(RUNS)
    (stopped,) = [cell for cell in cells_of(board, Path("none")) if cell.row.name == "BPR"]
    fake_record(dataclasses.replace(stopped, seed=7), ranks(1, 0.1), split=split, seconds=99).save(RUNS)
    reason = {"reason": "stopped by the time limit of 60 s", "time_limit": 60}
    write_failure(stopped.failure_path(RUNS), reason)
    files = sorted(Path().rglob("*"))
    assert _leaderboard("--dry-run") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["tiny", "Pop", "1", "done"] in lines
    assert ["tiny", "Pop", "2", "missing", "33", "s"] in lines
    assert ["tiny", "AttnSeq", "2020", "missing", "unknown"] in lines
    # What its time limit stopped is not run again, unless asked for.
    assert ["tiny", "BPR", "2020", "failed", *reason["reason"].split()] in lines
    ends = "4 cells: 1 done, 2 missing, 1 failed; to run: {} and 1 unknown"
    assert " ".join(lines[-1]) == ends.format("33 s")
    assert _leaderboard("--dry-run", "--retry") == 0
    assert capsys.readouterr().out.splitlines()[-1] == ends.format("2 min")
    assert sorted(Path().rglob("*")) == files


def test_facts_do_not_depend_on_the_kind_of_model(tiny: str, workdir: Path) -> None:
    """A sequential model's rows and a general model's interactions give the same history and popularity."""
    from recbole_attnseq.leaderboard.command import _load

    found = []
    for name in ("AttnSeq", "Pop", "SASRec"):
        write_board(
            workdir / "boards", {name: {"settings": {"train_neg_sample_args": None} if name == "SASRec" else {}}}
        )
        found.append(_load(read_board("boards/tiny.yaml"), "tiny", Path("dataset")))
    assert found[1] == found[2] == dataclasses.replace(found[0], waits=None)
    assert found[0].waits == 1, "users of these data wait for seven seconds each time"
    rows = [line.split("\t")[:2] for line in (workdir / "dataset/tiny/tiny.inter").read_text().splitlines()[1:]]
    users = list(dict.fromkeys(user for user, _ in rows))
    items = {user: [item for one, item in rows if one == user] for user in users}
    assert found[0].users == users
    assert found[0].history == [len(items[user]) - 1 for user in users]
    trained = [item for user in users for item in items[user][:-2]]
    assert found[0].popularity == [trained.count(items[user][-1]) for user in users]
    assert (found[0].user_count, found[0].interaction_count) == (len(users), len(rows))
    assert found[0].train_count == len(trained)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--rows", "Popp"], "no row 'Popp'; there are: Pop"),
        (["--seeds", "9"], "no cell has 9"),
        (["--rows", "Pop", "--seeds", "7"], "no cell is of both; seeds there are: Pop: 2020"),
        (["--rows", "Pop", "--seeds", "7", "--dry-run"], "no cell is of both"),
        (["--dry-run", "--report-only"], "exclude each other"),
        (["--page", "README.md"], "cannot read the page README.md"),
        (["--config", "none.yaml"], "none.yaml does not exist"),
        (["--data_path", "nowhere"], "data set 'tiny': no folder nowhere/tiny"),
    ],
)
def test_bad_flags_are_refused(
    tiny: str, workdir: Path, flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_board(workdir / "boards", {"Pop": None, "BPR": {"seeds": [7]}})
    assert _leaderboard(*flags) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize("place", ["results", "results/runs", "results/studies", "scratch"])
def test_a_file_in_the_place_of_a_folder(
    tiny: str, workdir: Path, place: str, dry: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_board(workdir / "boards", {"Pop": None})
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_text("mine")
    files = sorted(Path().rglob("*"))
    code = _leaderboard(*dry)
    if place == "scratch" and dry:  # a list needs none
        assert code == 0
        return
    assert code == 2
    assert f"{place} is no folder to write in" in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == files


class TestSiblings:
    """The report is of all leaderboards of the folder."""

    def test_a_file_that_is_no_leaderboard_is_named_and_left_out(
        self, tiny: str, workdir: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_board(workdir / "boards", {"Pop": None})
        Path("boards/mine.yaml").write_text("learning_rate: 0.1\n")
        Path("boards/empty.yaml").write_text("")
        assert _leaderboard() == 0
        out = capsys.readouterr().out
        for name in ("mine", "empty"):
            assert f"skipped: boards/{name}.yaml is no leaderboard (it has no 'models')." in out
        assert "Pop" in Path("results/LEADERBOARD.md").read_text()
        assert _leaderboard("--report-only") == 0

    @pytest.mark.parametrize("flags", [[], ["--dry-run"], ["--report-only"]])
    def test_a_bad_leaderboard_is_refused_before_the_first_cell(
        self, tiny: str, workdir: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_board(workdir / "boards", {"Pop": None})
        write_board(workdir / "boards", {"wide": {"model": "AttnSeq", "settings": {"n_heads": 5}}}, name="other")
        assert _leaderboard(*flags) == 2
        assert "boards/other.yaml: model 'wide' on 'tiny'" in capsys.readouterr().err
        assert not Path("results").exists()

    def test_one_spoilt_meanwhile_stops_no_cell(
        self, tiny: str, workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_board(workdir / "boards", {"Pop": {"seeds": [1, 2]}})
        visited = []

        def spoil(cell: Cell, *_: Any) -> str:
            visited.append(cell.seed)
            Path("boards/other.yaml").write_text("models: [")
            return "not run"

        monkeypatch.setattr("recbole_attnseq.leaderboard.schedule.run_cell", spoil)
        assert _leaderboard() == 2
        assert visited == [1, 2]
        printed = capsys.readouterr()
        assert "no report yet: boards/other.yaml:1: not valid YAML" in printed.out
        assert printed.err.startswith("attnseq: error: boards/other.yaml:1")


PLACES = Places(RUNS, Path("results/studies"), Path("dataset"), Path("scratch"))


def test_a_run_beyond_its_limit_is_ended_with_its_children(workdir: Path) -> None:
    code = (
        "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); time.sleep(60)"
    )
    started = time.monotonic()
    reason = _run([sys.executable, "-c", code], workdir / "log", 1.5, PLACES, None)
    assert reason == "stopped by the time limit of 1.5 s"
    assert time.monotonic() - started < 30
    _gone(int((workdir / "log").read_text()))


def test_a_run_that_is_killed_says_so(workdir: Path) -> None:
    code = "import os; os.kill(os.getpid(), 9)"
    assert _run([sys.executable, "-c", code], workdir / "log", None, PLACES, None) == (
        "killed by SIGKILL, perhaps for want of memory"
    )


def test_a_cell_is_claimed_once(tiny: str, workdir: Path) -> None:
    write_board(workdir / "boards", {"Pop": None})
    with claimed(_cell("Pop"), PLACES) as mine, claimed(_cell("Pop"), PLACES) as other:
        assert mine is not None
        assert other is None
    with claimed(_cell("Pop"), PLACES) as again:
        assert again is not None


def test_a_kill_at_any_point_changes_nothing(tiny: str, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed outright in the middle of a run: the run dies too and leaves nothing, and the next start gives what an
    uninterrupted run gives."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_board(workdir / "boards", {"AttnSeq": {"settings": {**SMALL, "epochs": 300, "stopping_step": 300}}})
    command = [sys.executable, "-m", "recbole_attnseq.cli", "leaderboard", "--config", "boards/tiny.yaml",
               "--data_path", "dataset", "--scratch", "scratch"]  # fmt: skip
    leaderboard = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        log = _wait_for(lambda: next((p for p in Path("scratch").glob("*.log") if "epoch 3:" in p.read_text()), None))
        children = psutil.Process(leaderboard.pid).children()
    finally:
        leaderboard.kill()
        leaderboard.wait()
    assert log is not None
    assert len(children) == 1
    _gone(children[0].pid)
    assert not list(RUNS.rglob("AttnSeq-*.json"))
    assert _leaderboard() == 0
    resumed = read_record(_cell("AttnSeq").record_path(RUNS))
    row = _cell("AttnSeq").row
    whole = train(configure("AttnSeq", tiny, row.files, {**row.settings, "show_progress": False}))
    assert resumed.ranks == by_user(whole)[1].tolist()


def test_an_interrupted_cell_goes_on_where_it_was(tiny: str, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_board(workdir / "boards", {"AttnSeq": {"settings": {**SMALL, "epochs": 12}, "time_limit": 1000}})
    cell = _cell("AttnSeq")
    commands: list[list[str]] = []
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_run", lambda command, *_: commands.append(command) or "not run")
        runner.run_cell(cell, PLACES)
    file = snapshot_path(cell, PLACES)
    file.parent.mkdir()

    def interrupt(point: Any) -> None:
        if point["epoch"] == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_command, "print_epoch", interrupt)
        patch.setattr(Snapshot.__init__, "__defaults__", (0.0,))
        assert cli.main(commands[0][3:]) == 130
    assert file.is_file()
    assert _spent(cell, PLACES) > 0
    assert _leaderboard("--retry") == 0
    record = read_record(cell.record_path(RUNS))
    assert [part["after_epoch"] for part in record.notes["resumed"]] == [4]
    assert "going on after epoch 4" in log_path(cell, PLACES).read_text()
    assert "epoch 4:" not in log_path(cell, PLACES).read_text()
    assert not file.exists()
    assert [point["epoch"] for point in record.curve] == list(range(len(record.curve)))
    whole = train(configure("AttnSeq", tiny, cell.row.files, {**cell.row.settings, "show_progress": False}))
    assert record.ranks == by_user(whole)[1].tolist()


def test_what_an_interrupted_run_took_counts_under_its_limit(workdir: Path) -> None:
    code = "import time; time.sleep(60)"
    started = time.monotonic()
    reason = _run([sys.executable, "-c", code], workdir / "log", 1000.0, PLACES, None, spent=999.0)
    assert reason == "stopped by the time limit of 1000 s"
    assert time.monotonic() - started < 30


def _wait_for(found: Any, seconds: float = 240.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (value := found()) is not None:
            return value
        time.sleep(0.1)
    return None


def _gone(pid: int) -> None:
    def ended() -> bool | None:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE or None
        except psutil.NoSuchProcess:
            return True

    assert _wait_for(ended, 30.0), f"process {pid} lives on"


@pytest.mark.slow
def test_settings_are_searched_first_where_a_budget_says_so(tiny: str, workdir: Path) -> None:
    write_board(workdir / "boards", {"AttnSeq": {"settings": SMALL, "tune": {"trials": 2}}})
    assert _leaderboard() == 0
    best = yaml.safe_load(Path("results/studies/AttnSeq-tiny-2-trials/best.yaml").read_text())
    record = read_record(_cell("AttnSeq").record_path(RUNS))
    assert record.config["learning_rate"] == best["learning_rate"]
    summary = Path("results/studies/AttnSeq-tiny-2-trials/summary.md").read_text()
    assert "Command: `attnseq leaderboard --config boards/tiny.yaml --rows AttnSeq`" in summary
    assert str(workdir) not in summary, "a summary is for other people too"


@pytest.mark.parametrize(("spent", "left"), [((), 600.0), ((100, 50), 450.0), ((400, 300), 0.001)])
def test_a_search_goes_on_within_what_is_left_of_its_seconds(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, spent: tuple[int, ...], left: float
) -> None:
    """Else the row whose search was interrupted most often would have had the largest budget."""
    import optuna

    board = read_board(write_board(workdir / "boards", {"BPR": {"tune": {"timeout": 600}}}))
    places = Places(RUNS, Path("studies"), Path("dataset"), Path("scratch"))
    commands: list[list[str]] = []
    monkeypatch.setattr(runner, "_run", lambda command, *_: commands.append(command))
    runner.search(board.rows[0], places, board.path)  # there is no study yet
    places.studies.mkdir()
    study = optuna.create_study(study_name="BPR-tiny-600-s", storage="sqlite:///studies/BPR-tiny-600-s.db")
    start = datetime.datetime(2026, 1, 1)
    for seconds in spent:
        trial = optuna.trial.create_trial(value=0.1)
        trial.datetime_start, trial.datetime_complete = start, start + datetime.timedelta(seconds=seconds)
        study.add_trial(trial)
    study.ask()  # one that was killed, and has no end
    runner.search(board.rows[0], places, board.path)
    given = [float(word.removeprefix("--timeout=")) for command in commands for word in command if "--timeout=" in word]
    assert given == [600, left]
