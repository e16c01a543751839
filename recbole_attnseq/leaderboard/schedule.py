"""Works through the cells that have no result, one run at a time, and never gives up for one that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from recbole_attnseq.leaderboard.board import Board
from recbole_attnseq.leaderboard.cells import (
    CONFLICT,
    DONE,
    FAILED,
    STALE,
    Cell,
    State,
    cells_of,
    read_inventory,
    state_of,
    study_name,
)  # fmt: skip
from recbole_attnseq.leaderboard.estimates import duration
from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.runner import Places, claimed, log_path, run_cell, search, snapshot_path


class Queue:
    """The work of one start.

    Args:
        board: the leaderboard.
        cells: those to bring to an end, in order.
        places: folders.
        splits: data set to the split hash that the data give now.
        retry: run again what a time limit stopped.
    """

    def __init__(
        self, board: Board, cells: Sequence[Cell], places: Places, splits: Mapping[str, str], retry: bool = False
    ) -> None:
        self.board, self.cells, self.places, self.splits, self.retry = board, list(cells), places, splits, retry
        self.tried: set[str] = set()
        self.failed: dict[str, str] = {}
        self.vain: dict[str, str] = {}  # searches of this start that found nothing, and why

    def run(self, after_each: Callable[[], None]) -> list[str]:
        """Run all; return a line for each cell without a result.

        Args:
            after_each: called after every run.
        """
        waiting = self.cells
        while waiting:
            elsewhere = [cell for cell in waiting if not self._visit(cell, after_each)]
            if len(elsewhere) == len(waiting):
                print(f"waiting for {len(elsewhere)} cells that another leaderboard runs", flush=True)
                time.sleep(5.0)
            waiting = elsewhere
        return list(self.failed.values())

    def _visit(self, cell: Cell, after_each: Callable[[], None]) -> bool:
        """Bring one cell to an end; False where another leaderboard holds it."""
        with claimed(cell, self.places) as lock:
            if lock is None:
                return False
            before = len(self.tried)
            reason = self._search(cell, lock) if cell.waits else self._settle(cell, lock)
            if reason is not None:
                self.failed[cell.title] = f"{cell.title}: {reason}"
        if cell.waits and reason is None:
            # What was found makes it another cell, which another leaderboard may be running already; or the same one,
            # where the defaults won, so this one's lock is given back first.
            cells = cells_of(self.board, self.places.studies, self.places.data)
            return self._visit(next(each for each in cells if each.title == cell.title), after_each)
        if len(self.tried) > before:
            after_each()
        return True

    def _search(self, cell: Cell, lock: IO[str]) -> str | None:
        """Search the settings of a cell's row, once a start; why there are none, or None."""
        name = study_name(cell.row)
        if name not in self.vain:
            reason = search(cell.row, self.places, self.board.path, lock)
            if reason is None:
                return None
            self.vain[name] = f"no settings were found ({reason})"
        return self.vain[name]

    def _settle(self, cell: Cell, lock: IO[str]) -> str | None:
        """Run, or find done; why there is no result, or None."""
        state = self._state(cell)  # read again: another leaderboard may have finished it meanwhile
        if state.word == DONE:
            return None
        if state.word == CONFLICT or in_vain(cell, state, self.retry):
            return state.why
        if _used_up(cell, state):
            # It has used up its time: asked for again, it begins anew, and an interruption later is no such end.
            snapshot_path(cell, self.places).unlink(missing_ok=True)
            cell.failure_path(self.places.runs).unlink(missing_ok=True)
        if state.word == STALE:
            print(f"stale: {cell.title}: {state.why}")
        self.tried.add(cell.title)
        place = f"{1 + [one.title for one in self.cells].index(cell.title)}/{len(self.cells)}"
        print(f"[{place}] {cell.title}: running, see {log_path(cell, self.places)}", flush=True)
        started = time.monotonic()
        reason = run_cell(cell, self.places, lock)
        took = duration(time.monotonic() - started)
        if reason is not None:
            print(f"[{place}] {cell.title}: failed after {took}: {reason}", flush=True)
            return reason
        record = self._state(cell).record
        if record is not None:
            scores = "  ".join(
                f"{metric} {per_target(metric, record.ranks).mean():.4f}" for metric in self.board.compare
            )
            print(f"[{place}] {cell.title}: {scores}, {took}", flush=True)
        return None

    def _state(self, cell: Cell) -> State:
        inventory = read_inventory(self.places.runs, [cell.row.dataset])
        return state_of(cell, inventory, self.places.runs, self.splits[cell.row.dataset])


def in_vain(cell: Cell, state: State, retry: bool) -> bool:
    """What a time limit stopped is not run again under the same limit, unless someone asks for it (``retry``)."""
    return not retry and _used_up(cell, state)


def _used_up(cell: Cell, state: State) -> bool:
    """Whether it failed and had all the time that its cell has."""
    limit = cell.row.time_limit
    stopped = state.word == FAILED and "time limit" in state.why
    return stopped and limit is not None and state.limit is not None and limit <= state.limit
