"""Going on where a training was interrupted: all that one epoch leaves to the next, in one file."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.baseline_batches import BucketedLoader
from recbole_attnseq.training.checkpoints import read_checkpoint
from recbole_attnseq.training.memory import peak_resident_mib
from recbole_attnseq.training.processes import replacing
from recbole_attnseq.training.provenance import commit, versions

if TYPE_CHECKING:
    from recbole_attnseq.training.session import Session


ENDING = ".snapshot"  # a file that ends so is ours, whatever is in it
_SCHEMA = 1


class Snapshot:
    """A file beside a training, from which the same training goes on and ends as if nothing had happened.

    RecBole's checkpoint holds the weights of the best epoch and of nothing after it. This holds the last epoch's, the
    random states, the count to early stopping, the curve, and the best epoch's checkpoint, so that an interrupted run
    gives what an uninterrupted one gives, to the last digit on the same machine (tests/training/test_snapshots.py).
    Trainers of a kind of their own (RecBole has some for single models) keep what cannot be known here: they get no
    file and begin anew.

    Args:
        file: where; its folder is there.
        identity: what must be equal for a run to go on from here, by name; the split's hash comes with the session.
        every: seconds between two writes, at the least; one falls at the end of an epoch.
    """

    def __init__(self, file: str | os.PathLike[str], identity: Mapping[str, Any], every: float = 60.0) -> None:
        self.file, self.identity, self.every = Path(file), dict(identity), every
        self._written = time.monotonic()
        self._commit = commit()  # what runs, whatever is checked out later
        if self.file.is_file() and self.file.suffix != ENDING and read_snapshot(self.file) is None:
            # It would be overwritten, and removed at the end: perhaps a person has mistaken it for a snapshot.
            raise UserError(f"--snapshot {self.file}: exists and is no snapshot; choose another file.")

    def restore(self, session: Session, loader: Any) -> None:
        """Bring a fresh session to where the file was written; changes nothing where there is none that fits.

        Args:
            session: its trainer has not begun.
            loader: what the trainer will iterate.
        """
        self.identity["split_hash"] = str(session.config["split_hash"])  # known since the data were read
        if not self.file.is_file() or not _known(session.trainer):
            return
        for left in self.file.parent.glob(f"{self.file.name}.*.part"):
            left.unlink(missing_ok=True)  # of a run that was killed while it wrote
        found = read_snapshot(self.file)
        if found is None:
            print(f"snapshot {self.file} cannot be read: beginning anew.", flush=True)
            return
        theirs = found["identity"]
        if other := sorted(key for key in {*theirs, *self.identity} if theirs.get(key) != self.identity.get(key)):
            print(f"snapshot {self.file} is of a run with another {', '.join(other)}: beginning anew.", flush=True)
            return
        try:
            _set_trainer(session.trainer, found)
        except (RuntimeError, KeyError, ValueError) as error:  # half restored: this process cannot begin anew
            self.remove()
            raise UserError(
                f"snapshot {self.file} does not fit this run ({error}); it is removed, start again."
            ) from error
        loader.generator.set_state(found["loader"])
        if isinstance(loader, BucketedLoader):
            loader.epoch = found["epoch"] + 1
        _set_random(found["random"])
        session.curve[:] = found["curve"]
        session.seconds, session.processor_seconds = found["seconds"], found["processor_seconds"]
        session.earlier_peak = found["peak_memory"]
        session.resumed = [*found["resumed"], {"after_epoch": found["epoch"], "commit": found["commit"]}]
        print(f"going on after epoch {found['epoch']}, {found['seconds']:.0f} s, of {self.file}", flush=True)

    def epoch_done(self, session: Session, loader: Any) -> None:
        """Write, if it is time; call after each evaluated epoch, with the session's curve and times up to date.

        A disk that is full costs the snapshot, not the run.
        """
        trainer = session.trainer
        epoch = int(session.curve[-1]["epoch"])
        # Behind its last epoch a trainer has nothing to go on with, and would not know it.
        last = epoch + 1 >= trainer.epochs or trainer.cur_step > trainer.stopping_step
        due = time.monotonic() - self._written >= self.every
        if last or not due or not _known(trainer) or not os.path.isfile(trainer.saved_model_file):
            return
        state = {
            "schema": _SCHEMA,
            "identity": self.identity,
            "epoch": epoch,
            **_trainer_state(trainer),
            "loader": loader.generator.get_state(),
            "random": _random(),
            "curve": session.curve,
            "seconds": session.seconds,
            "processor_seconds": session.processor_seconds,
            "peak_memory": max(session.earlier_peak, peak_resident_mib()),
            "resumed": session.resumed,
            "commit": self._commit,
        }
        try:
            with replacing(self.file) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # PyTorch tells of a full disk by the latter
            print(f"snapshot {self.file} could not be written ({error}); the run goes on without.", flush=True)
        self._written = time.monotonic()

    def remove(self) -> None:
        """The run has ended: there is nothing to go on with."""
        self.file.unlink(missing_ok=True)


def read_snapshot(file: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What a :class:`Snapshot` wrote, or None where that cannot be read. No code of the file's is run."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:
        return None
    fits = isinstance(found, dict) and isinstance(found.get("identity"), dict) and found.get("schema") == _SCHEMA
    return found if fits else None


def run_identity(config_hash: str, seed: int, **how: Any) -> dict[str, Any]:
    """What two runs must share for one to go on where the other was: what they compute, with which code, on what."""
    return {"config_hash": config_hash, "seed": seed, "code": _code(), **how, **versions()}


def arithmetic(device: torch.device) -> dict[str, Any]:
    """What the digits of a run depend on beside its code: where it computes, and on how many threads."""
    place = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": place, "threads": torch.get_num_threads()}


@functools.cache
def _code() -> str:
    """A digest of this package's sources, as they are when first asked for."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _known(trainer: Any) -> bool:
    """Whether all that the trainer carries from epoch to epoch is kept here."""
    from recbole.trainer import Trainer

    return type(trainer) is Trainer or hasattr(trainer, "set_extra_state")


def _loose(module: torch.nn.Module) -> dict[str, Any]:
    """What a module keeps beside parameters and buffers: counters, such as the steps of an annealed weight; arrays."""
    found: dict[str, Any] = {}
    for key, value in vars(module).items():
        if type(value) in (int, float) or isinstance(value, torch.Tensor):
            found[key] = value
        elif isinstance(value, np.ndarray) and value.dtype.kind in "iufb":
            found[key] = torch.from_numpy(np.ascontiguousarray(value))
    return found


def _set_loose(module: torch.nn.Module, found: Mapping[str, Any]) -> None:
    for key, value in found.items():
        now = vars(module).get(key)
        if isinstance(now, np.ndarray):
            value = value.numpy()
        elif isinstance(now, torch.Tensor):
            value = value.to(now.device)
        vars(module)[key] = value


def _plain(parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """RecBole's ``other_parameter`` without the modules that some models put there: their weights are the model's."""
    return parameters and {key: value for key, value in parameters.items() if not isinstance(value, torch.nn.Module)}


def _trainer_state(trainer: Any) -> dict[str, Any]:
    # Weights alone, not the checkpoint's pickle: a snapshot may lie where others write, and is read without trust.
    best = read_checkpoint(trainer.saved_model_file)
    return {
        "cur_step": int(trainer.cur_step),
        "best_valid_score": float(trainer.best_valid_score),
        "best_valid_result": {key: float(value) for key, value in trainer.best_valid_result.items()},
        "train_loss": {int(epoch): float(loss) for epoch, loss in trainer.train_loss_dict.items()},
        "weights": trainer.model.state_dict(),
        "other_parameter": _plain(trainer.model.other_parameter()),
        "loose": [_loose(module) for module in trainer.model.modules()],
        "optimizer": trainer.optimizer.state_dict(),
        "extra": trainer.get_extra_state() if hasattr(trainer, "get_extra_state") else None,
        "best": {
            "epoch": int(best["epoch"]),
            "cur_step": int(best["cur_step"]),
            "best_valid_score": float(best["best_valid_score"]),
            "state_dict": best["state_dict"],
            "other_parameter": _plain(best["other_parameter"]),
            "optimizer": best["optimizer"],
        },
    }


def _set_trainer(trainer: Any, found: Mapping[str, Any]) -> None:
    best = {**found["best"], "config": trainer.config}
    torch.save(best, trainer.saved_model_file, pickle_protocol=4)
    trainer.start_epoch, trainer.cur_step = found["epoch"] + 1, found["cur_step"]
    trainer.best_valid_score, trainer.best_valid_result = found["best_valid_score"], found["best_valid_result"]
    trainer.train_loss_dict = found["train_loss"]
    trainer.model.load_state_dict(found["weights"])
    trainer.model.load_other_parameter(found["other_parameter"])
    trainer.optimizer.load_state_dict(found["optimizer"])
    if found["extra"] is not None:
        trainer.set_extra_state(found["extra"])
    for module, loose in zip(trainer.model.modules(), found["loose"], strict=True):
        _set_loose(module, loose)


def _random() -> dict[str, Any]:
    """The states of Python's, NumPy's and PyTorch's generators, in types that can be read without running code."""
    name, key, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [str(name), torch.from_numpy(np.asarray(key, dtype=np.int64)), *(float(value) for value in rest)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random(states: Mapping[str, Any]) -> None:
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, key, position, has_gauss, cached = states["numpy"]
    words: Tensor = key
    np.random.set_state((name, words.numpy().astype(np.uint32), int(position), int(has_gauss), cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
