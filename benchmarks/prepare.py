"""The generic preparer on synthetic rows: seconds and peak memory.

    python -m benchmarks.prepare [--rows 20000000] [--k-core 5]

The rows are a CSV file of user, item, time and rating whose users and items follow a power law, in random
order of time. Targets: 20 million rows in less than 90 seconds and 2 GB on two cores; the k-core in less
than a minute.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.collect import Options
from recbole_attnseq.data.prepare.filters import k_core
from recbole_attnseq.data.prepare.generic import prepare_files

SECONDS, GIGABYTES, CORE_SECONDS = 90.0, 2.0, 60.0
_BLOCK = 1_000_000


def draw(rng: np.random.Generator, rows: int, users: int, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Users and items whose frequencies fall like a power of their rank."""
    user = (users * rng.random(rows) ** 2).astype(np.int64)
    item = (items * rng.random(rows) ** 3).astype(np.int64)
    return user, item


def write(path: Path, rows: int, users: int, items: int) -> None:
    """The synthetic CSV file."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, rows, _BLOCK):
            size = min(_BLOCK, rows - start)
            user, item = draw(rng, size, users, items)
            when = rng.integers(1_400_000_000, 1_600_000_000, size)
            rating = rng.integers(1, 6, size)
            table = pa.table({"user": user, "item": item, "time": when, "rating": rating})
            pacsv.write_csv(table, file, pacsv.WriteOptions(include_header=start == 0))


def peak_gigabytes() -> float:
    """Peak resident memory of this process, memory-mapped pages included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 30 if sys.platform == "darwin" else 1 << 20)


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--k-core", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write(path, args.rows, args.users, args.items)
        begin, processor = time.perf_counter(), time.process_time()
        options = Options(user_min=args.k_core, item_min=args.k_core)
        prepared = prepare_files(
            Raw(path),
            Path(folder) / "out",
            user="user",
            item="item",
            time="time",
            rating="rating",
            options=options,
        )
        seconds, work = time.perf_counter() - begin, time.process_time() - processor
        peak = peak_gigabytes()
    # Sparse enough that the core takes many rounds: about four interactions a user and eight an item.
    users, items = args.rows // 4, args.rows // 8
    user, item = draw(np.random.default_rng(1), args.rows, users, items)
    user, item = user.astype(np.int32), item.astype(np.int32)
    begin, processor = time.perf_counter(), time.process_time()
    left = int(k_core(user, item, users, items, args.k_core, args.k_core).sum())
    core, core_work = time.perf_counter() - begin, time.process_time() - processor
    result = {
        "rows": args.rows,
        "kept": prepared.summary.interactions,
        "seconds": round(seconds, 1),
        "of_target": round(seconds / SECONDS, 2),
        "processor_seconds": round(work, 1),
        "peak_gb": round(peak, 2),
        "of_memory_target": round(peak / GIGABYTES, 2),
        "k_core_left": left,
        "k_core_seconds": round(core, 1),
        "k_core_of_target": round(core / CORE_SECONDS, 2),
        "k_core_processor_seconds": round(core_work, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
