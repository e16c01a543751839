"""Start RecBole runs, in this process or in several, with this package imported in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def run_child(rank: int, *args: Any) -> None:
    """What each spawned process runs; unpickling this function imports the package first.

    Args:
        rank: number of the process on this host, from 0.
        args: model, data set, configuration files, and a dictionary with ``config_dict`` and ``queue``.
    """
    from recbole.quick_start import run_recbole

    from recbole_attnseq.compat import clean_argv

    options = dict(args[-1])
    options["config_dict"] = {**(options.get("config_dict") or {}), "local_rank": rank}
    with clean_argv():
        run_recbole(*args[:3], **options)


def run(
    model: Any,
    dataset: str,
    config_file_list: Sequence[str] | None = None,
    config_dict: dict[str, Any] | None = None,
    saved: bool = True,
    nproc: int = 1,
    world_size: int = -1,
    ip: str = "127.0.0.1",
    port: str | None = None,
    group_offset: int = 0,
) -> dict[str, Any] | None:
    """RecBole's ``run`` with this package in every process, on GPUs (NCCL) or CPUs (gloo).

    Args:
        model: name of any RecBole model, or of ours.
        dataset: name of the data set.
        config_file_list: YAML files, later ones win.
        config_dict: parameters above the files.
        saved: keep the best checkpoint.
        nproc: processes on this host.
        world_size: processes on all hosts; -1 means ``nproc``.
        ip: address of the host with process 0.
        port: TCP port of process 0; a free one by default, which suits a single host only.
        group_offset: number of the first process on this host.

    Returns:
        RecBole's result dictionary of process 0, or None on the other hosts.
    """
    from recbole import quick_start

    from recbole_attnseq.compat import default_port

    result: dict[str, Any] | None = quick_start.run(
        model,
        dataset,
        config_file_list=list(config_file_list) if config_file_list else None,
        config_dict=dict(config_dict or {}),
        saved=saved,
        nproc=nproc,
        world_size=world_size,
        ip=ip,
        port=port or default_port(),
        group_offset=group_offset,
    )
    return result
