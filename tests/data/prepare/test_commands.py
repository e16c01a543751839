"""``attnseq prepare`` and ``attnseq datasets`` from their arguments to their output."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from recbole_attnseq.data.prepare import command, datasets_command, lengths
from recbole_attnseq.data.prepare.catalogue import SOURCES, by_domain
from recbole_attnseq.errors import UserError
from tests.data.prepare.helpers import text, write, zipped


def _prepare(*words: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args(words))


def _datasets(*words: str) -> None:
    parser = argparse.ArgumentParser()
    datasets_command.add_arguments(parser)
    datasets_command.run(parser.parse_args(words))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    zipped(tmp_path / "ml-100k.zip", {"ml-100k/u.data": text("1\t5\t4\t881250949", "1\t6\t2\t881250950", "2\t5\t5\t1")})
    return tmp_path


def test_prepare_by_name_prints_the_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _prepare("ml-100k", "--raw", "ml-100k.zip", "--min-rating", "3")
    out = capsys.readouterr().out
    assert re.search(r"users +2\n", out)
    assert re.search(r"items +1\n", out)
    assert re.search(r"interactions +2\n", out)
    assert re.search(r"density +100\.0000%\n", out)
    assert re.search(r"time span +1970-01-01 00:00:01 to 1997-12-04 15:55:49 UTC\n", out)
    assert re.search(r"1 +rated below 3 +\(first: .*u\.data, row 2\)", out)
    assert (here / "datasets/ml-100k/ml-100k.inter").exists()
    assert command.read_record(here / "datasets/ml-100k")["source"] == "ml-100k"
    with pytest.raises(UserError, match="give --force"):
        _prepare("ml-100k", "--raw", "ml-100k.zip")
    _prepare("ml-100k", "--raw", "ml-100k.zip", "--force", "--k-core", "2", "--min-item", "0")
    assert command.read_record(here / "datasets/ml-100k")["options"] == {
        "min_rating": None,
        "behaviours": [],
        "drop_duplicates": False,
        "drop_repeats": False,
        "session_gap": None,
        "user_min": 2,
        "item_min": 0,
        "latest": None,
    }


def test_sessions_from_gaps_in_time(here: Path) -> None:
    """For any table, and for a data set by name; more than the gap begins a session, the gap itself does not."""
    rows = ("u,b,100", "v,a,50", "u,a,0", "u,c,1100", "u,d,2101")
    write(here, log__csv=text("who,what,at", *rows))
    words = "generic --raw log.csv --user who --item what --time at --out out/log --session-gap 1000"
    _prepare(*words.split())
    assert (here / "out/log/log.inter").read_text().splitlines() == [
        "user_id:token\titem_id:token\ttimestamp:float\tsession_id:token",
        "u\ta\t0\t1",
        "u\tb\t100\t1",
        "u\tc\t1100\t1",
        "u\td\t2101\t2",
        "v\ta\t50\t3",
    ]
    assert command.read_record(here / "out/log")["options"]["session_gap"] == 1000  # type: ignore[index]
    _prepare("ml-100k", "--raw", "ml-100k.zip", "--session-gap", "0.5")
    content = (here / "datasets/ml-100k/ml-100k.inter").read_text().splitlines()
    assert [line.split("\t")[-1] for line in content] == ["session_id:token", "1", "2", "3"]


def test_prepare_for_recboles_own_path(here: Path) -> None:
    _prepare("ml-100k", "--raw", "ml-100k.zip", "--recbole")
    assert (here / "dataset/ml-100k/ml-100k.inter").exists()


def test_prepare_generic(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, shop__txt=text("u|i|t|k", "a|b|2020-01-01|buy", 'a|"c|2020-01-02|view'))
    words = (
        "generic --raw shop.txt --user u --item i --time t --time-unit iso --behaviour k --separator pipe --no-quotes"
    )
    _prepare(*words.split(), "--out", "out/shop", "--keep-behaviour", "view, buy", "--field", "day:token=t")
    out = capsys.readouterr().out
    assert "an atomic file cannot hold" in out
    content = (here / "out/shop/shop.inter").read_text()
    assert content.endswith("\na\tb\t1577836800\tbuy\t2020-01-01\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ml-100 --raw ml-100k.zip", r"unknown data set 'ml-100'\. Did you mean 'ml-100k'\?"),
        ("ml-100k", r"--raw: give the path of ml-100k\.zip from https://.*, or --download"),
        ("taobao --download", r"'taobao' cannot be downloaded without asking its owner; get .* from https://"),
        ("ml-100k --raw ml-100k.zip --user u", r"--user: the columns of 'ml-100k' are known"),
        ("ml-100k --raw ml-100k.zip --recbole --out x", "two places"),
        ("ml-100k --raw ml-100k.zip --out .", "give a folder whose name"),
        ("ml-100k --raw nowhere.zip", r"nowhere\.zip: no such file or folder"),
        ("generic --raw ml-100k.zip", "--out: 'generic' needs the folder"),
        ("generic --out x --user a --item b", "--raw is missing"),
        ("generic --out x --raw ml-100k.zip --item b", "--user is missing"),
        ("generic --out x --raw ml-100k.zip --user u --item b --format excel", "unknown format 'excel'"),
        ("generic --out x --raw ml-100k.zip --format sequences --rating stars", "unknown column 'stars'"),
        ("generic --out x --download", "--download: 'generic' has no address"),
        ("ml-100k --raw ml-100k.zip --k-core -1", "must not be negative"),
        ("ml-100k --raw ml-100k.zip --min-user -1", "--k-core or --min-user must not be negative"),
        ("ml-100k --raw ml-100k.zip --keep-behaviour view", "'ml-100k' has no behaviour"),
        ("ml-100k --raw ml-100k.zip --encoding klingon", "unknown encoding 'klingon'"),
        ("ml-100k --raw ml-100k.zip --encoding base64", "unknown encoding 'base64'"),
        ("ml-100k --raw ml-100k.zip --encoding rot13", "unknown encoding 'rot13'"),
    ],
)
def test_bad_input_is_one_line(here: Path, words: str, message: str) -> None:
    before = sorted(p.name for p in here.iterdir())
    with pytest.raises(UserError, match=message) as error:
        _prepare(*words.split())
    assert "\n" not in str(error.value)
    left = {p.name for p in here.iterdir()} - set(before)
    assert left <= {"datasets"}
    assert not list((here / "datasets").glob("**/*"))


def test_list_names_every_data_set_with_terms_and_page(capsys: pytest.CaptureFixture[str]) -> None:
    _datasets()
    out = capsys.readouterr().out
    for domain, sources in by_domain():
        assert sources, domain
        for source in sources:
            assert re.search(rf"^  {re.escape(source.name)} ", out, re.M)
            assert source.page in out
            assert source.licence in out
    assert len(out.split("\nmusic\n")) == 2


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_data_set_says_how_to_get_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _datasets(name)
    out = capsys.readouterr().out
    source = SOURCES[name]
    assert f"1. attnseq prepare {name} --{'download' if source.download else 'raw PATH'}\n" in out
    assert f"2. attnseq run --dataset={name} --data_path=datasets\n" in out
    assert all(word in out for word in (source.citation, source.get, source.page))


def test_unknown_data_set() -> None:
    with pytest.raises(UserError, match=r"unknown data set 'mind-smal'\. Did you mean 'mind-small'\?"):
        _datasets("mind-smal")


def test_plot_in_the_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["u,i,t", *(f"a,{n},{n}" for n in range(4)), "b,1,1", "c,1,1", "d,1,1", "d,2,2"]
    write(here, x__csv=text(*rows))
    _prepare(
        *[
            "generic",
            "--raw",
            "x.csv",
            "--user",
            "u",
            "--item",
            "i",
            "--time",
            "t",
            "--time-unit",
            "ordinal",
            "--out",
            "datasets/mine",
            "--quiet",
        ]
    )
    capsys.readouterr()
    _datasets("mine", "--plot")
    out = capsys.readouterr().out.split("\n")
    assert out[1].split() == ["1", "2", "#" * 50]
    assert out[2].split() == ["2", "1", "#" * 25]
    assert out[3].split() == ["3-4", "1", "#" * 25]
    assert out[4] == "quartiles and 95th percentile: 1, 1.5, 2.5, 3.7"
    with pytest.raises(UserError, match=r"no such file; make it with `attnseq prepare ml-1m`"):
        _datasets("ml-1m", "--plot")
    with pytest.raises(UserError, match="--plot: name a data set"):
        _datasets("--plot")


def test_plot_as_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")
    inter = write(tmp_path, a__inter=text("user_id:token\titem_id:token", "1\t2", "1\t3", "2\t3")) / "a.inter"
    counts = lengths.lengths(inter)
    assert counts.tolist() == [2, 1]
    lengths.picture(counts, "a", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="cannot be written"):
        lengths.picture(counts, "a", tmp_path / "a.nothing")
