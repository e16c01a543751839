"""Every similarity under its contract."""

from __future__ import annotations

import math

from tests.contracts import SimilarityContract


class TestCosine(SimilarityContract):
    name = "cosine"
    tempered = True

    def plain(self, left: list[float], right: list[float]) -> float:
        product = sum(u * v for u, v in zip(left, right, strict=True))
        return product / math.sqrt(sum(u * u for u in left)) / math.sqrt(sum(v * v for v in right))


class TestDot(SimilarityContract):
    name = "dot"
    tempered = False

    def plain(self, left: list[float], right: list[float]) -> float:
        return sum(u * v for u, v in zip(left, right, strict=True))
