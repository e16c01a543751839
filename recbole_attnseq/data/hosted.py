"""RecBole's own hosted atomic files, by its own table of addresses: whole in the data set's folder, or not there."""

from __future__ import annotations

import contextlib
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import torch.distributed as dist

from recbole_attnseq.data.prepare.archive import READ_ERRORS
from recbole_attnseq.data.prepare.atomic import new_folder
from recbole_attnseq.data.prepare.download import fetch
from recbole_attnseq.data.prepare.source import Download
from recbole_attnseq.errors import UserError


def download(self: Any) -> None:
    """Stands in for ``Dataset._download``: the first process fetches, the others wait for it.

    Raises:
        UserError: no connection, an answer that is an error, a damaged archive, a full disk; one line with the
            address and where to put the file by hand. Nothing but a part to resume from is left.
    """
    if self.config["local_rank"] == 0:
        url = self._get_download_url("url")
        place(url, Path(self.dataset_path), say=self.logger.info)
        self.logger.info("Downloading done.")
    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def place(url: str, folder: Path, *, say: Callable[[str], object] = print) -> None:
    """The zip archive at ``url`` as the data set in ``folder``.

    The archive lies beside the folder while it is fetched, and is removed when the folder is there; one that was
    put there by hand is used.

    Args:
        url: the address.
        folder: the data set's folder, which does not exist yet; its name becomes the files' stem.
        say: shown the size and the address before the first byte.
    """
    with _alone(folder):
        if any(folder.glob("*.inter")):
            return  # another run has fetched it meanwhile
        archive = fetch(Download(url), folder.parent, say=say, progress=sys.stderr.isatty())
        with new_folder(folder, force=False) as (fresh, _):
            unpack(archive, fresh, folder.name)
        archive.unlink()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of several runs that lack a data set one fetches it and the others wait, where the system has file locks.

    Raises:
        UserError: nothing can be written beside ``folder``.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    lock = folder.with_name(f".{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error}).") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path, name: str) -> None:
    """The archive's files, flat, renamed from its own stem to ``name``, as RecBole renames them.

    Raises:
        UserError: no zip archive, a damaged one, or one without interactions.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            found = {PurePosixPath(info.filename).name: info for info in opened.infolist() if not info.is_dir()}
            stem = archive.stem
            tables = [file for file in found if file.endswith(".inter")]
            if len(tables) == 1 and stem not in tables[0]:
                stem = tables[0].removesuffix(".inter")
            for file, info in found.items():
                # Into this very folder: a path inside an archive may point anywhere.
                with opened.open(info) as packed, (folder / file.replace(stem, name)).open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
    except (*READ_ERRORS, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{archive}: no whole zip archive ({error}); remove it and run again.") from error
    if not any(path.suffix == ".inter" for path in folder.iterdir()):
        raise UserError(f"{archive}: holds no .inter file but {', '.join(sorted(found)) or 'nothing'}; remove it.")
