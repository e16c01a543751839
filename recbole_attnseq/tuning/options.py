"""Everything that ``attnseq tune`` can be told, as one value that travels to worker processes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from recbole_attnseq.errors import UserError


@dataclass(frozen=True)
class TuneOptions:
    """Options of a search.

    Attributes:
        model: a RecBole model, or None for the files' or AttnSeq.
        dataset: a data set, or None for the files'.
        files: RecBole's YAML files.
        settings: settings above the files; a searched key that is set here is searched no more.
        space: a space file or a name in configs/space, or None for the model's there.
        trials: trials in the whole study, over all workers and starts, or None for no limit.
        timeout: seconds after which this start begins no new trial, or None.
        storage: a storage URL, or None for SQLite in ``output``.
        study: the study's name, or None for MODEL-DATASET.
        sampler: see :func:`recbole_attnseq.tuning.choices.make_sampler`.
        pruner: see :func:`recbole_attnseq.tuning.choices.make_pruner`.
        seeds: runs of the winner that are scored on test; 0 leaves test alone.
        trial_seeds: runs of every trial, whose mean counts; None is 1, or ``seeds`` with Wilcoxon's pruner.
        gpus: ids of the GPUs that get a worker each.
        jobs: CPU workers.
        output: folder that holds a folder for each study.
        heartbeat: seconds between a running trial's signs of life.
        grace: seconds without one after which a trial counts as dead.
        retries: how often a trial whose worker died is repeated.
        patience: seconds to wait for a storage that is away.
        release: take trials that count as running for dead.
        progress: show a progress bar.
        fast_batches: ``grouped``: RecBole's batches without padding, or None.
        fast_layers: cheaper arithmetic under RecBole's models where that computes the same.
        told: the command that the summary names, where another one started this one.
    """

    model: str | None = None
    dataset: str | None = None
    files: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    space: str | None = None
    trials: int | None = 30
    timeout: float | None = None
    storage: str | None = None
    study: str | None = None
    sampler: str = "tpe"
    pruner: str = "median"
    seeds: int = 3
    trial_seeds: int | None = None
    gpus: tuple[str, ...] = ()
    jobs: int = 1
    output: str = os.path.join("results", "studies")
    heartbeat: int = 20
    grace: int = 60
    retries: int = 3
    patience: float = 3600.0
    release: bool = False
    progress: bool = True
    fast_batches: str | None = None
    fast_layers: bool = False
    told: str = ""

    def __post_init__(self) -> None:
        for key, least in (
            ("trials", 1),
            ("timeout", 0),
            ("seeds", 0),
            ("trial_seeds", 1),
            ("jobs", 1),
            ("heartbeat", 1),
        ):
            value = getattr(self, key)
            if value is not None and value < least:
                raise UserError(f"{key} is {value}; it must be at least {least}.")
        if self.trials is None and self.timeout is None:
            raise UserError("a search without end: give --trials N or --timeout SECONDS.")
        if self.grace <= self.heartbeat:
            raise UserError(f"grace is {self.grace} s and heartbeat {self.heartbeat} s; grace must be the longer.")
        if self.gpus and self.jobs > 1:
            raise UserError("--gpus starts a worker a GPU and --jobs CPU workers; give one of the two.")
        if len(set(self.gpus)) < len(self.gpus):
            raise UserError(f"--gpus names a GPU twice: {','.join(self.gpus)}.")
        if self.fast_batches not in (None, "grouped"):
            raise UserError(
                f"fast_batches is {self.fast_batches!r}; a search knows grouped, which leaves RecBole its batches."
            )

    @property
    def workers(self) -> int:
        """Worker processes that this start runs."""
        return len(self.gpus) or self.jobs

    @property
    def shortcuts(self) -> dict[str, Any]:
        """As :func:`~recbole_attnseq.training.session.quicken` takes them."""
        return {"fast_batches": self.fast_batches, "fast_layers": self.fast_layers}

    def to_json(self) -> str:
        """For a worker's standard input; passwords in the storage's URL never show in a process list."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TuneOptions:
        """Inverse of :meth:`to_json`."""
        values = json.loads(text)
        for key in ("files", "gpus"):
            values[key] = tuple(values[key])
        return cls(**values)


def study_name(options: TuneOptions, model: str, dataset: str) -> str:
    """The study's name, which is also its folder's."""
    name = options.study or f"{model}-{dataset}"
    if not name.strip(". ") or any(mark in name for mark in '/\\:*?"<>|\n'):
        raise UserError(f"study name '{name}' cannot be a folder; use letters, digits, '-', '_', '.'.")
    return name


def storage_url(options: TuneOptions, name: str) -> str:
    """The storage's URL: as given, or the file that a search has by default."""
    return options.storage or f"sqlite:///{storage_file(options.output, name)}"


def storage_file(output: str, name: str) -> str:
    """The SQLite file of a search that names no storage, beside the study's folder."""
    return os.path.join(output, f"{name}.db")


def seeds_of(options: TuneOptions, first: int, over_seeds: bool) -> tuple[Sequence[int], Sequence[int]]:
    """Seeds of a trial's runs, and of the winner's; both begin at the configuration's own."""
    of_trial = options.trial_seeds or (max(options.seeds, 3) if over_seeds else 1)
    return range(first, first + of_trial), range(first, first + options.seeds)
