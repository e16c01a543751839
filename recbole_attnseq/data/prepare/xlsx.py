"""Rows of an Excel workbook with the standard library alone, sheet after sheet, in constant memory.

Only what data tables use: shared and inline strings, numbers, and the first row of each sheet as the header.
The format is ECMA-376 (Office Open XML), part 1, section 18.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Any
from xml.etree import ElementTree

from recbole_attnseq.errors import UserError

_SHEET = re.compile(r"xl/worksheets/sheet(\d+)\.xml")


def read_xlsx(stream: IO[bytes], label: str) -> Iterator[dict[str, Any]]:
    """Yields each row of every sheet as column name to value (text, or a number).

    Args:
        stream: the workbook.
        label: what error messages call it.

    Raises:
        UserError: the file is no workbook.
    """
    with tempfile.TemporaryFile() as copy:
        # A workbook is a zip, which is read from its end.
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.seek(0)
        try:
            with zipfile.ZipFile(copy) as book:
                shared = _shared_strings(book)
                sheets = [(int(m.group(1)), m.group(0)) for name in book.namelist() if (m := _SHEET.fullmatch(name))]
                for _, name in sorted(sheets):
                    with book.open(name) as sheet:
                        yield from _rows(sheet, shared)
        except (zipfile.BadZipFile, ElementTree.ParseError, IndexError, ValueError) as error:
            raise UserError(f"{label}: not a readable Excel workbook ({error}).") from error


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _shared_strings(book: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    strings = []
    with book.open("xl/sharedStrings.xml") as stream:
        for _, element in ElementTree.iterparse(stream):
            if _tag(element) == "si":
                strings.append("".join(t.text or "" for t in element.iter() if _tag(t) == "t"))
                element.clear()
    return strings


def _rows(stream: IO[bytes], shared: list[str]) -> Iterator[dict[str, Any]]:
    names: dict[str, str] | None = None
    parent: ElementTree.Element | None = None
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):
        tag = _tag(element)
        if event == "start":
            if tag == "sheetData":
                parent = element
            continue
        if tag != "row":
            continue
        cells: dict[str, Any] = {}
        for position, cell in enumerate(element):
            letters = "".join(filter(str.isalpha, cell.get("r", ""))) or str(position)
            cells[letters] = _value(cell, shared)
        if parent is not None:
            parent.clear()
        if names is None:
            names = {letters: str(value) for letters, value in cells.items() if value is not None}
        else:
            yield {name: cells.get(letters) for letters, name in names.items()}


def _value(cell: ElementTree.Element, shared: list[str]) -> Any:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return "".join(t.text or "" for t in cell.iter() if _tag(t) == "t")
    text = next((part.text for part in cell if _tag(part) == "v"), None)
    if text is None:
        return None
    if kind == "s":
        return shared[int(text)]
    return float(text) if kind == "n" else text
