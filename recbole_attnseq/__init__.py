"""AttnSeq for RecBole: importing this package mends RecBole for today's stack and registers the model."""

from __future__ import annotations

from recbole_attnseq import compat

compat.activate()

from recbole_attnseq.errors import UserError  # noqa: E402  (RecBole can be imported only now)
from recbole_attnseq.launch import run  # noqa: E402
from recbole_attnseq.registration import register  # noqa: E402

register()

__version__ = "0.1.0"
__all__ = ["UserError", "__version__", "run"]
