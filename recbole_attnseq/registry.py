"""One registry for exchangeable parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from recbole_attnseq.errors import unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to parts; an unknown name answers with the known ones and the closest.

    Example:
        >>> encoders: Registry[type] = Registry("user encoder")
        >>> @encoders.register("gru")
        ... class GRU: ...
        >>> encoders["gru"] is GRU
        True
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files a part under ``name``; raises ``ValueError`` where the name is taken."""
        if name in self._parts:
            raise ValueError(f"{self.kind} '{name}' is registered already.")

        def add(part: T) -> T:
            self._parts[name] = part
            return part

        return add

    def __getitem__(self, name: str) -> T:
        if name not in self._parts:
            raise unknown_name(self.kind, name, self._parts)
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __len__(self) -> int:
        return len(self._parts)
