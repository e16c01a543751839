"""All data sets that can be prepared by name."""

from __future__ import annotations

from collections.abc import Iterator

from recbole_attnseq.data.prepare import sources
from recbole_attnseq.data.prepare.source import DOMAINS, SOURCES, Source

__all__ = ["SOURCES", "by_domain", "sources"]


def by_domain() -> Iterator[tuple[str, list[Source]]]:
    """Each domain with its data sets, sorted by name."""
    for domain in DOMAINS:
        yield (
            domain,
            sorted((s for s in (SOURCES[n] for n in SOURCES) if s.domain == domain), key=lambda s: s.name),
        )
