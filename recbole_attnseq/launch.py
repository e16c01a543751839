"""Start RecBole runs, in this process or in several, with this package imported in each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from recbole_attnseq.errors import UserError

_REFUSAL = f"{UserError.__module__}.{UserError.__qualname__}: "


def run_child(rank: int, *args: Any) -> None:
    """What each spawned process runs; unpickling this function imports the package first.

    Args:
        rank: number of the process on this host, from 0.
        args: model, data set, configuration files, and a dictionary with ``config_dict`` and ``queue``.
    """
    import torch
    from recbole.quick_start import run_recbole

    from recbole_attnseq.compat import GROUPS, clean_argv
    from recbole_attnseq.training.checks import plain_errors

    options = dict(args[-1])
    queue = options.pop("queue", None)
    options["config_dict"] = {**(options.get("config_dict") or {}), "local_rank": rank}
    # Processes that each take all cores slow one another down.
    torch.set_num_threads(max(1, torch.get_num_threads() // int(options["config_dict"].get("nproc", 1))))
    with clean_argv(), plain_errors():
        result = run_recbole(*args[:3], **options)
    GROUPS.clear()  # nobody else holds one by now
    if rank == 0 and queue is not None:
        queue.put(_with_facts(result))


def _with_facts(result: dict[str, Any]) -> dict[str, Any]:
    from recbole_attnseq.compat import RUN_FACTS

    checkpoint = RUN_FACTS.get("checkpoint")
    kept = checkpoint if checkpoint and os.path.isfile(checkpoint) else None
    return {**result, "split_hash": RUN_FACTS.get("split_hash"), "checkpoint": kept}


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
        RecBole's result dictionary of this host's first process, with two keys more: ``split_hash``, and
        ``checkpoint``, the file of the best epoch or None where none was kept.

    Raises:
        UserError: bad input; one raised in a child process arrives here as it was.
    """
    from recbole import quick_start
    from torch.multiprocessing.spawn import ProcessRaisedException

    from recbole_attnseq.compat import RUN_FACTS, default_port

    RUN_FACTS.clear()
    many = nproc > 1 or world_size > 0
    try:
        result: dict[str, Any] | None = quick_start.run(
            model,
            dataset,
            config_file_list=list(config_file_list) if config_file_list else None,
            config_dict=dict(config_dict or {}),
            saved=saved,
            nproc=nproc,
            world_size=world_size,
            ip=ip,
            port=port or (default_port() if many else "0"),
            group_offset=group_offset,
        )
    except ProcessRaisedException as error:
        for line in reversed(str(error).splitlines()):
            if line.startswith(_REFUSAL):
                raise UserError(line[len(_REFUSAL) :]) from None
        raise
    return result if many or result is None else _with_facts(result)
