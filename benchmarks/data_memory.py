"""(d) Time and peak memory to prepare a data set, ours beside RecBole's own loader and prefixes, as data grows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from benchmarks.child import measured
from benchmarks.prepare import draw
from benchmarks.progress import Progress

SIZES = (100_000, 1_000_000, 5_000_000, 20_000_000)
RECBOLE_MINUTES, RECBOLE_GIGABYTES = 5.0, 16.0  # its padded prefixes of length 50 grow beyond any machine
OWN_WAYS = ("arrow loading", "lazy prefixes")

_CHILD = """
import importlib, json, sys, time, types
from benchmarks.child import ROOT, peak_gigabytes
folder, name, without = sys.argv[1:4]
package = types.ModuleType("recbole_attnseq"); package.__path__ = [str(ROOT / "recbole_attnseq")]
sys.modules["recbole_attnseq"] = package
compat = importlib.import_module("recbole_attnseq.compat")
compat.REMEDIES = tuple(r for r in compat.REMEDIES if r.name not in without.split(","))
compat.activate(); del sys.modules["recbole_attnseq"]; importlib.import_module("recbole_attnseq")
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
sys.argv = sys.argv[:1]
base = peak_gigabytes()
start = time.perf_counter()
config = Config("AttnSeq", name, config_dict=dict(data_path=folder, state="ERROR", show_progress=False,
    load_col={"inter": ["user_id", "item_id", "timestamp"]}, checkpoint_dir=folder))
loaders = data_preparation(config, create_dataset(config))
print(json.dumps(dict(seconds=time.perf_counter() - start, rows=len(loaders[0]._dataset),
    gigabytes=peak_gigabytes(), imports=base)))
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


def run(progress: Progress, sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """One entry a size: ours, and RecBole's as far as its limits let it."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for size in sizes:
            progress.once(str(size), lambda: _one(folder, size))  # noqa: B023
    return {str(size): progress.parts[str(size)] for size in sizes}


def _one(folder: Path, size: int) -> dict[str, Any]:
    name = f"synthetic-{size}"
    write(folder, name, size)
    entry = {
        who: measured(["-c", _CHILD, str(folder), name, without], folder=folder, minutes=minutes, gigabytes=gigabytes)
        for who, without, minutes, gigabytes in (
            ("ours", "", 10.0, None),
            ("RecBole", ",".join(OWN_WAYS), RECBOLE_MINUTES, RECBOLE_GIGABYTES),
        )
    }
    (folder / name / f"{name}.inter").unlink()
    return entry


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"RecBole's loader and padded prefixes of length 50 may take {RECBOLE_MINUTES:g} minutes and "
        f"{RECBOLE_GIGABYTES:g} GB. Memory is the whole process's, libraries included.",
        "",
        "| interactions | ours s | ours GB | RecBole s | RecBole GB |",
        "|---|---|---|---|---|",
    ]
    for size, entry in result.items():
        cells = []
        for who in ("ours", "RecBole"):
            e = entry.get(who, {})
            cells += [f"{e['seconds']:.1f}", f"{e['gigabytes']:.2f}"] if "seconds" in e else [e.get("failed", "-"), "-"]
        lines.append(f"| {int(size):,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
