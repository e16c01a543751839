"""RecBole's hosted files through ``attnseq run``, from a server on this machine: whole, resumed, or one line."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from recbole.data.dataset import Dataset

from recbole_attnseq import cli
from recbole_attnseq.data.hosted import place
from recbole_attnseq.errors import UserError
from tests.data.prepare.helpers import text, zip_bytes
from tests.file_server import FileServer, nobody, serving

pytestmark = pytest.mark.filterwarnings("ignore")

_ROWS = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
_ROWS += [f"u{u}\ti{(u + t) % 9}\t4\t{100 + t}" for u in range(12) for t in range(7)]
_FILES = {"Amazon_Beauty.inter": text(*_ROWS), "Amazon_Beauty.item": text("item_id:token\ttitle:token", "i1\tA")}
_RUN = (
    "run", "--dataset=amazon-beauty", "--dataset_config=True", "--epochs=1", "--hidden_size=16", "--inner_size=16",
    "--use_gpu=False", "--show_progress=False", "--state=WARNING",
)  # fmt: skip


@pytest.fixture
def server(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with serving() as one:
        one.content = zip_bytes(_FILES)
        monkeypatch.setattr(Dataset, "_get_download_url", lambda *_, **__: _address(one))
        yield one


def _address(server: FileServer) -> str:
    return server.address.replace("archive.zip", "Amazon_Beauty.zip")


def _left() -> set[str]:
    return {path.as_posix() for path in Path().glob("dataset/**/*")}


def test_a_run_fetches_unpacks_and_trains(server: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.breaks = 1
    assert cli.main(_RUN) == 0
    assert "ndcg@10 0." in capsys.readouterr().out
    files = {"amazon-beauty/amazon-beauty.inter": "Amazon_Beauty.inter",
             "amazon-beauty/amazon-beauty.item": "Amazon_Beauty.item"}  # fmt: skip
    assert _left() == {"dataset/amazon-beauty"} | {f"dataset/{name}" for name in files}
    for name, source in files.items():
        assert Path("dataset", name).read_bytes() == _FILES[source]
    asked = len(server.asked)
    assert cli.main(_RUN) == 0
    assert len(server.asked) == asked, "what is there is not fetched again"


def test_offline_is_one_line_with_address_and_place(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = nobody("Amazon_Beauty.zip")
    monkeypatch.setattr(Dataset, "_get_download_url", lambda *_, **__: address)
    for _ in range(2):
        assert cli.main(_RUN) == 2
        message = capsys.readouterr().err.strip().split("\n")[-1]
        assert message.startswith(f"attnseq: error: {address}: cannot be reached (")
        assert message.endswith(f"download {address} by hand and put it at dataset/Amazon_Beauty.zip.")
        assert _left() == set()
    Path("dataset").mkdir(exist_ok=True)
    Path("dataset/Amazon_Beauty.zip").write_bytes(zip_bytes(_FILES))
    assert cli.main(_RUN) == 0, "the file at that place is used"
    assert Path("dataset/amazon-beauty/amazon-beauty.inter").exists()


def test_not_found(server: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.status = 404
    assert cli.main(_RUN) == 2
    assert "the server answers 404 Not Found; download" in capsys.readouterr().err
    assert _left() == set()


def _damaged() -> bytes:
    """A zip whose packed data are no deflate stream."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.inter", b"0123456789" * 99)
    content = bytearray(buffer.getvalue())
    start = 30 + len("a.inter")
    content[start : start + 4] = b"\xff" * 4
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>sign in</html>", "no whole zip archive"),
        (zip_bytes({"a.inter": b"x" * 999})[:-40], "no whole zip archive"),
        (_damaged(), "no whole zip archive"),
        (zip_bytes({"readme.txt": b"gone"}), r"holds no \.inter file but readme\.txt"),
    ],
)
def test_wrong_archives(content: bytes, message: str, server: FileServer) -> None:
    server.content = content
    with pytest.raises(UserError, match=message):
        place(_address(server), Path("dataset/amazon-beauty"))
    assert _left() == {"dataset/Amazon_Beauty.zip"}


def test_two_runs_that_lack_a_data_set_fetch_it_once(server: FileServer) -> None:
    folder = Path("dataset/amazon-beauty")
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(place, _address(server), folder, say=lambda line: None) for _ in range(3)]:
            done.result()
    assert len(server.asked) == 1
    assert _left() == {str(folder), f"{folder}/amazon-beauty.inter", f"{folder}/amazon-beauty.item"}


def test_a_place_that_cannot_be_written_is_one_line(server: FileServer) -> None:
    Path("dataset").write_text("a file")
    with pytest.raises(UserError, match="dataset/mine: cannot be written"):
        place(_address(server), Path("dataset/mine"))


def test_names_and_paths_inside_the_archive(server: FileServer) -> None:
    """Files named otherwise than the archive, in folders of their own or outside: all land in the one folder."""
    server.content = zip_bytes({"deep/lastfm.inter": b"1", "../lastfm.item": b"2", "deep/": b""})
    place(_address(server), Path("dataset/mine"))
    assert _left() == {"dataset/mine", "dataset/mine/mine.inter", "dataset/mine/mine.item"}


def test_a_full_disk(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recbole_attnseq.data.hosted.shutil.copyfileobj", full)
    with pytest.raises(UserError, match="the disk is full"):
        place(_address(server), Path("dataset/amazon-beauty"))
    assert _left() == {"dataset/Amazon_Beauty.zip"}
