"""(d) Time and peak memory to prepare a data set, ours beside RecBole's own loader and prefixes, as data grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from benchmarks.prepare import draw

SIZES = (100_000, 1_000_000, 5_000_000, 20_000_000)
RECBOLE_UP_TO = 1_000_000  # beyond, its padded prefixes of length 50 do not fit this machine's memory
OWN_WAYS = ("arrow loading", "lazy prefixes")

_CHILD = """
import importlib, json, resource, sys, time, types
root, folder, name, without = sys.argv[1:5]
sys.path.insert(0, root)
package = types.ModuleType("recbole_attnseq"); package.__path__ = [root + "/recbole_attnseq"]
sys.modules["recbole_attnseq"] = package
compat = importlib.import_module("recbole_attnseq.compat")
compat.REMEDIES = tuple(r for r in compat.REMEDIES if r.name not in without.split(","))
compat.activate(); del sys.modules["recbole_attnseq"]; importlib.import_module("recbole_attnseq")
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
sys.argv = sys.argv[:1]
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
start = time.perf_counter()
config = Config("AttnSeq", name, config_dict=dict(data_path=folder, state="ERROR", show_progress=False,
    load_col={"inter": ["user_id", "item_id", "timestamp"]}, checkpoint_dir=folder))
loaders = data_preparation(config, create_dataset(config))
print(json.dumps(dict(seconds=time.perf_counter() - start, rows=len(loaders[0]._dataset),
    gigabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, imports=base)))
"""


def write(folder: Path, name: str, rows: int) -> None:
    """A synthetic atomic file: Zipf-like users and items, Unix times, random order."""
    rng = np.random.default_rng(rows)
    user, item = draw(rng, rows, rows // 20, max(1000, rows // 100))
    table = pa.table(
        {
            "user_id:token": user,
            "item_id:token": item,
            "timestamp:float": rng.integers(1_400_000_000, 1_600_000_000, rows),
        }
    )
    (folder / name).mkdir()
    with (folder / name / f"{name}.inter").open("wb") as file:
        file.write(("\t".join(table.column_names) + "\n").encode())
        options = arrow_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        arrow_csv.write_csv(table, file, options)


def measure(folder: Path, name: str, without: str) -> dict[str, Any]:
    """Prepare the data set in a process of its own."""
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, root, str(folder), name, without],
        capture_output=True,
        text=True,
        cwd=folder,
        env=dict(os.environ),
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"failed": lines[-1] if lines else f"exit {done.returncode}"}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def run(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """One entry a size: ours, and RecBole's where it can run."""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for size in sizes:
            name = f"synthetic-{size}"
            write(folder, name, size)
            entry = {"ours": measure(folder, name, "")}
            if size <= RECBOLE_UP_TO:
                entry["RecBole"] = measure(folder, name, ",".join(OWN_WAYS))
            result[str(size)] = entry
            (folder / name / f"{name}.inter").unlink()
    return result


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = ["| interactions | ours s | ours GB | RecBole s | RecBole GB |", "|---|---|---|---|---|"]
    for size, entry in result.items():
        cells = []
        for who in ("ours", "RecBole"):
            e = entry.get(who, {})
            cells += [f"{e['seconds']:.1f}", f"{e['gigabytes']:.2f}"] if "seconds" in e else [e.get("failed", "-"), "-"]
        lines.append(f"| {int(size):,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
