"""Beside RecTools' SASRec at equal width, layers and length, run by another interpreter on the same data.

RecTools trains the last steps of each user, as many as the length, and leaves the others out; AttnSeq trains every
one. So the ratio is one of seconds a target.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import CORPORA, build, our_epoch, scratch, spread, times

_PEER = """
import json, sys, time, logging, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
import pandas as pd, torch
from pytorch_lightning import Callback, Trainer
from rectools.dataset import Dataset
from rectools.models import SASRecModel
frame = pd.read_csv(sys.argv[1])
epochs, threads, length = (int(x) for x in sys.argv[2:5])
torch.set_num_threads(threads)
times = []
class Clock(Callback):
    def on_train_epoch_start(self, trainer, module): self.start = time.perf_counter()
    def on_train_epoch_end(self, trainer, module): times.append(time.perf_counter() - self.start)
def trainer():
    return Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
                   enable_progress_bar=False, enable_model_summary=False, callbacks=[Clock()])
model = SASRecModel(n_factors=64, n_blocks=2, n_heads=2, session_max_len=length, loss="softmax", batch_size=128,
                    lr=1e-3, epochs=epochs, deterministic=False, get_trainer_func=trainer)
model.fit(Dataset.construct(frame))
print(json.dumps(times))
"""


LENGTH = 50


def trained(kept: torch.Tensor, user: torch.Tensor) -> int:
    """How many targets RecTools trains of the interactions ``kept`` (bool) of each ``user``: the last LENGTH ones."""
    lengths = torch.bincount(user[kept])
    return int((lengths - 1).clamp(0, LENGTH).sum())


def run(python: str, epochs: int = 3) -> dict[str, Any]:
    """Seconds an epoch of both on each data set; the peer's first epoch does not count."""
    result: dict[str, Any] = {}
    for dataset in ("ml-100k", "amazon-beauty"):
        if dataset != "ml-100k" and not (CORPORA / dataset).is_dir():
            continue
        with scratch(), tempfile.TemporaryDirectory() as folder:
            trainer, train, *_ = build("AttnSeq", dataset, train_batch_size=2048)
            columns = train._dataset.inter_feat.interaction
            # The training part alone: every target, and the first item of each user.
            last = torch.zeros(train._dataset.user_num, dtype=torch.long)
            user = columns.flat["user_id"]
            last.scatter_reduce_(0, columns["user_id"], columns.target, "amax")
            kept = torch.arange(len(user)) <= last[user]
            lines = ["user_id,item_id,weight,datetime"]
            lines += [
                f"{u},{i},1,{place}"
                for place, (u, i) in enumerate(
                    zip(user[kept].tolist(), columns.flat["item_id"][kept].tolist(), strict=True)
                )
            ]
            path = Path(folder) / "interactions.csv"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            done = subprocess.run(
                [python, "-c", _PEER, str(path), str(epochs + 1), str(torch.get_num_threads()), str(LENGTH)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                result[dataset] = {"failed": done.stderr.strip().splitlines()[-1]}
                continue
            theirs = json.loads(done.stdout.strip().splitlines()[-1])[1:]
            epoch = our_epoch(trainer, train)
            epoch()
            ours = [epoch() for _ in range(epochs)]
            targets = {"AttnSeq": trainer.batches(train).targets, "RecTools": trained(kept, user)}
        result[dataset] = {
            "AttnSeq": spread(ours),
            "RecTools": spread(theirs),
            "targets": targets,
            "ratio": spread(
                [a / targets["RecTools"] / (b / targets["AttnSeq"]) for a, b in zip(theirs, ours, strict=True)]
            ),
        }
    return result


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "RecTools trains the last 50 targets of each user, AttnSeq all of them: the ratio is one of seconds a target.",
        "",
        "| data set | AttnSeq s an epoch | targets | RecTools SASRec s an epoch | targets | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for dataset, e in result.items():
        if "failed" in e:
            lines.append(f"| {dataset} | failed: {e['failed']} |||||")
            continue
        lines.append(
            f"| {dataset} | {e['AttnSeq']['median']:.2f} | {e['targets']['AttnSeq']:,} | "
            f"{e['RecTools']['median']:.2f} | {e['targets']['RecTools']:,} | {times(e['ratio'], 1)} |"
        )
    return "\n".join(lines)
