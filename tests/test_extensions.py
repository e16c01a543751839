"""Parts of the user's own, by file or module; README's example among them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from recbole_attnseq import cli
from recbole_attnseq.errors import UserError
from recbole_attnseq.extensions import FOLDER_VARIABLE, fingerprints, import_extensions
from recbole_attnseq.nn.user_encoders import USER_ENCODERS
from recbole_attnseq.training.runs import load_run

README = Path(__file__).parents[1] / "README.md"
RUN = (
    "run", "--dataset=tiny", "--epochs=1", "--hidden_size=16", "--inner_size=16", "--use_gpu=False",
    "--show_progress=False", "--state=WARNING", "--user_encoder=average",
    "--load_col={'inter': ['user_id', 'item_id', 'timestamp']}",
)  # fmt: skip


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(USER_ENCODERS, "_parts", dict(USER_ENCODERS._parts))


def forget() -> None:
    """As in another process."""
    USER_ENCODERS._parts.pop("average", None)
    for name in [name for name in sys.modules if name.startswith("recbole_attnseq_extension:")]:
        del sys.modules[name]


def test_readmes_encoder_trains_is_saved_and_comes_back(
    tiny: str, workdir: Path, clean: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = [code for code in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "register" in code]
    (workdir / "average.py").write_text(block)
    assert cli.main(RUN) == 2
    assert "unknown user_encoder 'average'" in capsys.readouterr().err
    assert cli.main([*RUN, "--extensions=average.py"]) == 0
    out = capsys.readouterr().out
    checkpoint = re.search(r"checkpoint: (\S+)", out)
    assert checkpoint
    forget()
    _, model, *_ = load_run(checkpoint.group(1))
    assert type(model.network.user_encoder).__name__ == "RunningAverage"


def test_a_transformer_of_ones_own_is_made_as_the_transformer_is(tiny: str, workdir: Path, clean: None) -> None:
    (workdir / "average.py").write_text(
        "from recbole_attnseq.nn.user_encoders import USER_ENCODERS, Transformer\n"
        "@USER_ENCODERS.register('average')\n"
        "class Mine(Transformer):\n"
        "    def __init__(self, **options):\n"
        "        assert options['heads'] == 2 and options['inner'] == 16, options\n"
        "        super().__init__(**options)\n"
    )
    assert cli.main([*RUN, "--extensions=average.py", "--n_heads=2"]) == 0
    assert cli.main([*RUN, "--extensions=average.py", "--n_heads=7"]) == 2


def test_a_checkpoint_finds_its_parts_from_any_folder(
    tiny: str, workdir: Path, clean: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [code for code in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "register" in code]
    (workdir / "average.py").write_text(block)
    assert cli.main([*RUN, f"--data_path={workdir}/dataset", "--extensions=average.py"]) == 0
    found = re.search(r"checkpoint: (\S+)", capsys.readouterr().out)
    assert found
    checkpoint = workdir / found.group(1)

    def evaluate(*flags: str) -> tuple[int, str]:
        forget()
        code = cli.main(["evaluate", str(checkpoint), *flags])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    # The settings, by which records and snapshots are known, do not say where.
    assert torch.load(checkpoint, weights_only=False)["config"]["extensions"] == "average.py"
    (workdir / "elsewhere").mkdir()
    monkeypatch.chdir(workdir / "elsewhere")
    code, here = evaluate()
    assert code == 0
    assert "test: recall@10" in here
    (workdir / "average.py").rename("moved.py")
    code, text = evaluate()
    assert code == 2
    assert f"average.py is neither in {workdir} any more nor here; say where it is, --extensions=FILE" in text
    assert evaluate("--extensions=moved.py") == (0, here)
    Path("moved.py").rename("average.py")
    assert evaluate() == (0, here)


def test_a_module_of_the_current_folder_and_only_once(workdir: Path, clean: None) -> None:
    (workdir / "count_my_imports.py").write_text("open('count', 'a').write('x')\n")
    for _ in range(2):
        import_extensions("count_my_imports")
        import_extensions(["count_my_imports.py"])
    assert Path("count").read_text() == "xx"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("nothing.py", "nothing.py does not exist"),
        ("no_such_module_anywhere", "no_such_module_anywhere cannot be imported .ModuleNotFoundError"),
        ("broken.py", "broken.py cannot be imported .ZeroDivisionError"),
        (["broken.py", 3], "cannot be imported"),
        (3, "extensions is 3"),
    ],
)
def test_what_cannot_be_imported_is_named(workdir: Path, wanted: object, message: str) -> None:
    (workdir / "broken.py").write_text("1 / 0\n")
    for _ in range(2):
        with pytest.raises(UserError, match=message):
            import_extensions(wanted)


def test_code_is_known_by_its_content(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's as a file's, from wherever they are found."""
    (workdir / "code").mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(workdir / "code"))
    names = ["known_by_content.py", "known_by_content"]

    def known() -> list[str]:
        import_extensions(names)
        return list((fingerprints(names) or {}).values())

    (workdir / "code" / names[0]).write_text("x = 1\n")
    first = known()
    (workdir / "code" / names[0]).write_text("x = 2\n")
    second = known()
    assert len({*first}) == len({*second}) == 1
    assert first != second
    assert fingerprints(names[0]) == {names[0]: second[0]}
    assert fingerprints(None) is fingerprints("") is None
