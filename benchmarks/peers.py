"""Beside other packages' SASRec at equal width, layers and length, run by another interpreter on the same data.

They train the last steps of each user, as many as the length, and leave the others out; AttnSeq trains every one. So
the ratio is one of seconds a target. RecTools is asked for its full softmax; Torch-RecHub's model, plain PyTorch,
knows binary cross-entropy with one negative a target, where AttnSeq draws one for all targets of a step, its own way to
draw. Peers take 128 sequences a step and compute in float32, AttnSeq 2,048 targets in what ``precision: auto`` means.
Peers run their epochs, then AttnSeq does. Each peer is timed as it comes,
and with what this process has: an allocator that keeps freed memory, which is much to models that pad.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import CORPORA, build, our_epoch, scratch, spread, times
from recbole_attnseq.leaderboard.runner import ALLOCATOR

_RECTOOLS = """
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

_RECHUB = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import pandas as pd, torch
from torch_rechub.basic.features import SequenceFeature
from torch_rechub.models.matching import SASRec
frame = pd.read_csv(sys.argv[1])
epochs, threads, length = (int(x) for x in sys.argv[2:5])
torch.set_num_threads(threads)
items = int(frame.item_id.max()) + 1
names = {"seq": None, "pos": "seq", "neg": "seq"}
model = SASRec([SequenceFeature(name, vocab_size=items, embed_dim=64, pooling="concat", shared_with=shared)
                for name, shared in names.items()], max_len=length, num_blocks=2, num_heads=2)
histories = [group.tolist()[-length - 1:] for _, group in frame.groupby("user_id").item_id]
histories = [history for history in histories if len(history) > 1]
seq, pos = (torch.zeros(len(histories), length, dtype=torch.long) for _ in range(2))
for row, history in enumerate(histories):
    seq[row, -len(history) + 1:] = torch.tensor(history[:-1])
    pos[row, -len(history) + 1:] = torch.tensor(history[1:])
optimizer, loss_function, times = torch.optim.Adam(model.parameters(), lr=1e-3), torch.nn.BCEWithLogitsLoss(), []
for _ in range(epochs):
    start = time.perf_counter()
    for rows in torch.randperm(len(seq)).split(128):
        negatives = torch.randint(1, items, (len(rows), length))
        real = pos[rows] > 0
        good, bad = model({"seq": seq[rows], "pos": pos[rows], "neg": negatives})
        loss = loss_function(good[real], torch.ones(()).expand(int(real.sum())))
        loss = loss + loss_function(bad[real], torch.zeros(()).expand(int(real.sum())))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    times.append(time.perf_counter() - start)
print(json.dumps(times))
"""

PEERS = {"RecTools": _RECTOOLS, "Torch-RecHub": _RECHUB}
# AttnSeq's settings beside each: the peer's loss.
LOSSES: dict[str, dict[str, Any]] = {
    "RecTools": {"loss_type": "softmax"},
    "Torch-RecHub": {"loss_type": "bce", "num_negatives": 1},
}
ALLOCATORS = {"": {}, ", the peer keeps freed memory": {"GLIBC_TUNABLES": ALLOCATOR}}
LENGTH = 50


def trained(kept: torch.Tensor, user: torch.Tensor) -> int:
    """How many targets a peer trains of the interactions ``kept`` (bool) of each ``user``: the last LENGTH ones."""
    lengths = torch.bincount(user[kept])
    return int((lengths - 1).clamp(0, LENGTH).sum())


def run(python: str, peer: str, epochs: int = 3) -> dict[str, Any]:
    """Seconds an epoch of both on each data set; the peer's first epoch does not count."""
    result: dict[str, Any] = {}
    for dataset in ("ml-100k", "amazon-beauty"):
        if dataset != "ml-100k" and not (CORPORA / dataset).is_dir():
            continue
        with scratch(), tempfile.TemporaryDirectory() as folder:
            trainer, train, *_ = build("AttnSeq", dataset, train_batch_size=2048, **LOSSES[peer])
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
            epoch = our_epoch(trainer, train)
            epoch()
            targets = {"AttnSeq": trainer.batches(train).targets, "peer": trained(kept, user)}
            for suffix, allocator in ALLOCATORS.items():
                theirs = _peer_epochs(python, peer, path, epochs, allocator)
                if isinstance(theirs, str):
                    result[dataset + suffix] = {"failed": theirs}
                    continue
                ours = [epoch() for _ in range(epochs)]
                result[dataset + suffix] = {
                    "AttnSeq": spread(ours),
                    "peer": spread(theirs),
                    "targets": targets,
                    "ratio": spread(
                        [a / targets["peer"] / (b / targets["AttnSeq"]) for a, b in zip(theirs, ours, strict=True)]
                    ),
                }
    return result


def _peer_epochs(python: str, peer: str, path: Path, epochs: int, allocator: dict[str, str]) -> list[float] | str:
    """Seconds of each epoch of the peer but the first, or the last line of why it failed."""
    done = subprocess.run(
        [python, "-c", PEERS[peer], str(path), str(epochs + 1), str(torch.get_num_threads()), str(LENGTH)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **allocator},
    )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    seconds: list[float] = json.loads(done.stdout.strip().splitlines()[-1])[1:]
    return seconds


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"The peer trains the last {LENGTH} targets of each user, AttnSeq all: the ratio is one of seconds a target. "
        "The peer takes 128 sequences a step in float32, AttnSeq 2,048 targets, in bfloat16 products where there is "
        "AMX. The peer's epochs come first, then AttnSeq's.",
        "",
        "| data set | AttnSeq s an epoch | targets | peer's s an epoch | targets | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for dataset, e in result.items():
        if "failed" in e:
            lines.append(f"| {dataset} | failed: {e['failed']} |||||")
            continue
        older = f" (commit {e['commit']})" if "commit" in e else ""  # a case kept from an earlier run
        lines.append(
            f"| {dataset}{older} | {e['AttnSeq']['median']:.2f} | {e['targets']['AttnSeq']:,} | "
            f"{e['peer']['median']:.2f} | {e['targets']['peer']:,} | {times(e['ratio'], 1)} |"
        )
    return "\n".join(lines)
