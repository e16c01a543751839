"""All benchmarks: `python -m benchmarks [section ...] [--peers PYTHON [--peer NAME]]`; writes records and RESULTS.md.

Each section measures its pairs in one process, in turn and repeatedly, and prints ratios. Nothing else should run. A
section that was interrupted goes on where it stopped, as long as the commit is the same.
"""

from __future__ import annotations

import argparse
import inspect
import json
import time
from pathlib import Path
from typing import Any

from benchmarks import (
    baselines,
    data_memory,
    epoch_time,
    growth,
    layers,
    peak_share,
    peers,
    plot,
    precision,
    ranking_speed,
    to_quality,
)
from benchmarks.progress import Progress
from recbole_attnseq.training.memory import keep_freed_memory
from recbole_attnseq.training.provenance import commit, hardware, versions

SECTIONS: dict[str, tuple[str, Any]] = {
    "epoch": ("(a) Seconds an epoch beside RecBole's models", epoch_time),
    "quality": ("(b) Time to the validation NDCG@10 of RecBole's SASRec at its best", to_quality),
    "peak": ("(c) Share of the matrix-product peak, width 128", peak_share),
    "data": ("(d) Preparing a data set", data_memory),
    "ranking": ("(e) Full-ranking evaluation", ranking_speed),
    "growth": ("(f) Growth with length and catalogue (sampled softmax)", growth),
    "baselines": ("(g) RecBole's own models in batches of like lengths", baselines),
    "precision": ("(h) bfloat16 beside float32 in real training", precision),
    "layers": ("(i) RecBole's own models with cheaper layers", layers),
}
FOLDER = Path(__file__).parent / "records"


def main() -> None:
    """Run the named sections (all by default), then write the page from all records there are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--peers", metavar="PYTHON", help="other packages' SASRec, by an interpreter that has them")
    parser.add_argument("--peer", choices=list(peers.PEERS), help="that peer alone, and no section that is not named")
    parser.add_argument("--page", action="store_true", help="only write the page from the records")
    args = parser.parse_args()
    unknown = sorted(set(args.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section {', '.join(unknown)}; choose of {', '.join(SECTIONS)}")
    if args.peer and not args.peers:
        parser.error("--peer needs --peers PYTHON, an interpreter that has it")
    keep_freed_memory()  # RecBole's models share this process; peers are timed with and without
    FOLDER.mkdir(exist_ok=True)
    if not args.page:
        for name in args.sections or ([] if args.peer else SECTIONS):
            title, module = SECTIONS[name]
            print(f"\n## {title}\n", flush=True)
            progress = Progress(FOLDER / f"{name}.partial.json", commit())
            takes = "progress" in inspect.signature(module.run).parameters
            save(name, module.run(progress) if takes else module.run())
            progress.finish()
            print(module.table(load(name)["result"]), flush=True)
        for name in [args.peer] if args.peer else peers.PEERS if args.peers else []:
            print(f"\n## Beside {name}'s SASRec\n", flush=True)
            save(f"peer-{name}", peers.run(args.peers, name))
            print(peers.table(load(f"peer-{name}")["result"]), flush=True)
    write_page(Path(__file__).parent)


def save(name: str, result: dict[str, Any]) -> None:
    """Write one section's record."""
    values = {
        "section": name,
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
        "result": result,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    """Read one section's record."""
    values: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return values


def write_page(folder: Path) -> None:
    """RESULTS.md and its picture."""
    epoch, growing = (
        load(name)["result"] if (FOLDER / f"{name}.json").is_file() else None for name in ("epoch", "growth")
    )
    (folder / "RESULTS.svg").write_text(plot.picture(epoch, growing), encoding="utf-8")
    (folder / "RESULTS.md").write_text(page(), encoding="utf-8")


def page() -> str:
    """RESULTS.md from the records."""
    lines = [
        "# Benchmarks",
        "",
        "Generated from `benchmarks/records/` by `make bench`. Ratios of (a), (e), (g) and (i) compare runs made in "
        "turn in one process; the other sections say what they compare. Seconds are those of the machine below each, "
        "and mean little elsewhere. Spread: lowest to highest of the pairs.",
        "",
        "![Time of an epoch and growth](RESULTS.svg)",
    ]
    sections = {**SECTIONS, **{f"peer-{name}": (f"Beside {name}'s SASRec", peers) for name in peers.PEERS}}
    for name, (title, module) in sections.items():
        if not (FOLDER / f"{name}.json").is_file():
            continue
        record = load(name)
        machine = record["hardware"]
        lines += ["", f"## {title}", "", module.table(record["result"]), ""]
        lines.append(
            f"<sub>{record['date']}, commit {record['commit']}, {machine['processor']}, {machine['threads']} threads, "
            f"torch {record['versions']['torch']}</sub>"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
