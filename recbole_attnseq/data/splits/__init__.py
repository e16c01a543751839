"""Splits beyond RecBole's own: by global time, and of sessions by the last days."""

from __future__ import annotations

from recbole_attnseq.data.splits.by_time import Split, by_global_time, by_last_days, check_no_leak
from recbole_attnseq.data.splits.files import Written, write_benchmark

__all__ = ["Split", "Written", "by_global_time", "by_last_days", "check_no_leak", "write_benchmark"]
