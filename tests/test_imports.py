"""Imports point one way, modules stay short, and one module alone reads the command line."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "recbole_attnseq"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
LONGEST = 330

# What the modules below a folder may import of RecBole and of this package; everything else is free.
ALLOWED = {
    "nn/": ("recbole_attnseq.nn", "recbole_attnseq.flat", "recbole_attnseq.registry", "recbole_attnseq.errors"),
    "data/": (
        "recbole.data.interaction",
        "recbole.data.dataset",
        "recbole.utils.FeatureType",  # the enumerations that RecBole's data sets speak in
        "recbole.utils.FeatureSource",
        "recbole_attnseq.data",
        "recbole_attnseq.flat",
        "recbole_attnseq.registry",
        "recbole_attnseq.errors",
    ),
    "data/prepare/": ("recbole_attnseq.data.prepare", "recbole_attnseq.registry", "recbole_attnseq.errors"),
    "serving/": (
        "recbole_attnseq.serving",
        "recbole_attnseq.nn",
        "recbole_attnseq.registry",
        "recbole_attnseq.errors",
    ),
    "errors.py": (),
    "flat.py": (),
    "registry.py": ("recbole_attnseq.errors",),
}
# What sits above a folder, and is unknown to it.
ABOVE = {
    "model.py": ("training", "tuning", "leaderboard", "serving", "cli"),
    "training/": ("tuning", "leaderboard", "cli"),
}


def imported(source: str, package: str = "recbole_attnseq") -> set[str]:
    """Dotted names that a module imports anywhere, inside functions and by name included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            # ``from recbole_attnseq import data`` imports a module, ``from x import name`` a name of x.
            names |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            names |= {arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return names


def below(name: str, parents: Iterable[str]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def forbidden(path: str, source: str) -> list[str]:
    """The imports of the module at ``path`` (relative to the package) that point the wrong way."""
    rules = [folder for folder in ALLOWED if path.startswith(folder)]
    package = ".".join(["recbole_attnseq", *Path(path).parent.parts])
    names = imported(source, package)
    bad: set[str] = set()
    if rules:
        ours = {name for name in names if below(name, ("recbole", "recbole_attnseq"))}
        bad |= {name for name in ours if not below(name, ALLOWED[max(rules, key=len)])}
    for folder, above in ABOVE.items():
        if path.startswith(folder):
            bad |= {name for name in names if below(name, [f"recbole_attnseq.{part}" for part in above])}
    return sorted(bad)


@pytest.mark.parametrize("path", MODULES)
def test_imports_point_one_way(path: str) -> None:
    assert forbidden(path, (PACKAGE / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nn/attention.py", "import recbole"),
        ("nn/attention.py", "def f():\n    from recbole.config import Config"),
        ("nn/attention.py", "from recbole_attnseq.data.store import SequenceStore"),
        ("nn/attention.py", "from recbole_attnseq import data"),
        ("nn/attention.py", "from ..data import store"),
        ("nn/attention.py", "from .. import model"),
        ("nn/attention.py", "import importlib\nimportlib.import_module('recbole.utils')"),
        ("data/batches.py", "from recbole.config import Config"),
        ("data/batches.py", "from recbole_attnseq.nn.packing import Packing"),
        ("data/batches.py", "import recbole.data.dataloader"),
        ("data/batches.py", "from recbole.utils import get_model"),
        ("data/prepare/sources/amazon.py", "import recbole.data.dataset"),
        ("serving/bundle.py", "import recbole_attnseq.model"),
        ("serving/bundle.py", "if True:\n    import recbole.utils as u"),
        ("training/trainer.py", "from recbole_attnseq.tuning import spaces"),
        ("model.py", "from recbole_attnseq.training.trainer import AttnSeqTrainer"),
        ("registry.py", "from recbole_attnseq import model"),
    ],
)
def test_an_import_the_wrong_way_is_noticed(path: str, source: str) -> None:
    assert forbidden(path, source) != []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nn/attention.py", "from recbole_attnseq.registry import Registry\nimport torch\nfrom . import packing"),
        ("data/dataset.py", "from recbole.data.dataset.sequential_dataset import SequentialDataset"),
        ("data/dataset.py", "from recbole_attnseq.data import store"),
        ("model.py", "from recbole_attnseq.nn.network import Network\nfrom recbole.utils import InputType"),
        ("training/trainer.py", "from recbole.trainer import Trainer"),
    ],
)
def test_an_import_the_right_way_is_let_through(path: str, source: str) -> None:
    assert forbidden(path, source) == []


@pytest.mark.parametrize("path", [path for path in MODULES if path != "compat.py"])
def test_modules_stay_short(path: str) -> None:
    """A file that outgrows this wants a second idea, not a second half. compat.py is a list of remedies."""
    assert len((PACKAGE / path).read_text(encoding="utf-8").splitlines()) <= LONGEST


def reads_argv(source: str) -> bool:
    """True where ``sys.argv`` or ``from sys import argv`` occurs."""
    return "sys.argv" in imported(source) or any(
        isinstance(node, ast.Attribute) and node.attr == "argv" and getattr(node.value, "id", "") == "sys"
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("path", [path for path in MODULES if path not in ("cli.py", "compat.py")])
def test_the_command_line_alone_reads_argv(path: str) -> None:
    """compat.py touches it too, to keep RecBole's own reader away from it."""
    assert not reads_argv((PACKAGE / path).read_text(encoding="utf-8"))


def test_reading_argv_is_noticed() -> None:
    assert reads_argv("import sys\nprint(sys.argv[1:])")
    assert reads_argv("from sys import argv")
    assert not reads_argv("import sys\nprint(sys.path)")
