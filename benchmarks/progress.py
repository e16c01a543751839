"""Long benchmarks go on where they stopped: each part is kept on disk once it is measured."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Progress:
    """The parts of one section that were measured at one commit.

    Args:
        path: the file that holds them between runs.
        commit: parts of another commit are measured again.
    """

    def __init__(self, path: Path, commit: str) -> None:
        self.path = path
        self.commit = commit
        self.parts: dict[str, Any] = {}
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["commit"] == commit:
                self.parts = kept["parts"]

    def once(self, key: str, measure: Callable[[], Any]) -> Any:
        """What ``measure`` returns (JSON values), from the file if it ran before."""
        if key not in self.parts:
            self.parts[key] = measure()
            temporary = self.path.with_suffix(".part")
            temporary.write_text(json.dumps({"commit": self.commit, "parts": self.parts}), encoding="utf-8")
            os.replace(temporary, self.path)
            print(f"{key}: {json.dumps(self.parts[key])}", flush=True)
        return self.parts[key]

    def finish(self) -> None:
        """Forget the parts; the section's record holds them."""
        self.path.unlink(missing_ok=True)
