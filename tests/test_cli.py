"""The command line as a person meets it: what it prints, and one line and exit code 2 for every bad input."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from recbole_attnseq import cli
from recbole_attnseq.errors import UserError
from tests.atomic_files import write_interactions, write_table, write_tiny

pytestmark = pytest.mark.filterwarnings("ignore")

FAST = [
    "--load_col=None", "--epochs=1", "--n_layers=1", "--hidden_size=16", "--inner_size=16", "--use_gpu=False",
    "--show_progress=False", "--state=WARNING",
]  # fmt: skip


@pytest.fixture
def attnseq(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: exit code, what it printed, and what it complained of."""

    def run(*arguments: str) -> tuple[int, str, str]:
        root = logging.getLogger()
        others, root.handlers = root.handlers, []  # RecBole attaches its own only where there are none
        try:
            code = cli.main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            for handler in root.handlers:
                handler.close()
            root.handlers = others
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


class TestHelp:
    def test_of_the_program(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        code, out, _ = attnseq("--help")
        assert code == 0
        for word in (
            "usage: attnseq",
            "train and test any RecBole model",
            "attnseq run --model=AttnSeq --dataset=ml-100k",
        ):
            assert word in out

    def test_of_run(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        code, out, _ = attnseq("run", "--help")
        assert code == 0
        for word in ("--model", "--dataset", "--config_files", "--nproc", "--learning_rate=0.002"):
            assert word in out

    def test_every_command_has_one(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        for name in cli._available():
            code, out, err = attnseq(name, "--help")
            assert (code, err) == (0, "")
            assert f"usage: attnseq {name}" in out

    def test_without_a_command(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        code, _, err = attnseq()
        assert code == 2
        assert "COMMAND" in err


class TestRun:
    def test_trains_and_prints_results_split_and_checkpoint(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        write_tiny(Path("dataset"))
        code, out, _ = attnseq("run", "--dataset=tiny", "--metrics=['NDCG','F1']", "--topk", "[5]", *FAST,
                               "--valid_metric=NDCG@5")  # fmt: skip
        assert code == 0
        valid, test, split, checkpoint = out.strip().splitlines()[-4:]
        assert valid.startswith("valid: ndcg@5 0.")
        assert "f1@5 0." in test
        assert len(split.removeprefix("split hash: ")) == 16
        stored = torch.load(checkpoint.removeprefix("checkpoint: "), weights_only=False)["config"]
        assert (stored["model"], stored["dataset"], stored["hidden_size"]) == ("AttnSeq", "tiny", 16)
        assert stored["split_hash"] == split.removeprefix("split hash: ")
        assert list(Path("log/AttnSeq").glob("*.log"))

    def test_takes_model_dataset_and_settings_from_files(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        write_tiny(Path("dataset"))
        Path("a.yaml").write_text("model: Pop\ndataset: tiny\nload_col: ~\ntopk: [5]\nvalid_metric: Recall@4\n")
        Path("b.yaml").write_text("topk: [3, 4]\nepochs: 1\nshow_progress: False\n")
        code, out, _ = attnseq("run", "--config_files", "a.yaml", "b.yaml")
        assert code == 0
        assert "ndcg@3" in out
        assert "Pop-" in out
        code, out, _ = attnseq("run", "--config_files=b.yaml,a.yaml", "--topk=[4]")
        assert code == 0
        assert "ndcg@4" in out

    def test_as_a_program(self, workdir: Path) -> None:
        """The console's own view: a refused run writes one line to stderr, none to stdout, and no file."""
        command = [sys.executable, "-m", "recbole_attnseq.cli", "run", "--dataset=nowhere"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith("attnseq: error: data set 'nowhere'")
        assert len(ran.stderr.splitlines()) == 1
        assert list(workdir.iterdir()) == []


GOOD = [(f"u{u}", f"i{(u + t) % 9}", 100 + t) for u in range(8) for t in range(6)]


def corrupt(line: int, text: str) -> None:
    """Put ``text`` in place of one line of data set 'bad'."""
    path = write_interactions(Path("dataset"), "bad", GOOD)
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")


def few_interactions(each: int) -> None:
    write_interactions(Path("dataset"), "bad", [(f"u{u}", f"i{u + t}", t) for u in range(9) for t in range(each)])


def no_times() -> None:
    write_table(Path("dataset/bad/bad.inter"), "user_id:token item_id:token", [row[:2] for row in GOOD])


def commas() -> None:
    path = write_interactions(Path("dataset"), "bad", GOOD)
    path.write_text(path.read_text().replace("\t", ","))


def bad_items() -> None:
    write_interactions(Path("dataset"), "bad", GOOD)
    write_table(Path("dataset/bad/bad.item"), "item_id:token price:float", [("i0", 1), ("i1", "cheap")])


def text_file(name: str, text: str) -> Callable[[], None]:
    return lambda: Path(name).write_text(text) and None


BAD_FILES: dict[str, tuple[Callable[[], object], Sequence[str]]] = {
    "no folder": (lambda: None, ("'bad'", "dataset/bad", "data_path")),
    "empty folder": (lambda: Path("dataset/bad").mkdir(parents=True), ("no file bad.inter in dataset/bad",)),
    "empty file": (
        lambda: write_table(Path("dataset/bad/bad.inter"), "", []).write_text(""),
        ("bad.inter:1:", "header"),
    ),
    "header only": (lambda: write_interactions(Path("dataset"), "bad", []), ("bad.inter", "no rows")),
    "no header": (lambda: corrupt(1, "u1\ti1\t5"), ("bad.inter:1:", "header", "user_id:token")),
    "unknown type": (lambda: corrupt(1, "user_id:token\titem_id:word\ttimestamp:float"), ("bad.inter:1:", "word")),
    "a column too few": (lambda: corrupt(7, "u1\ti1"), ("bad.inter:7:", "2 columns", "3")),
    "a column too many": (lambda: corrupt(20, "u1\ti1\t5\t6"), ("bad.inter:20:", "4 columns", "3")),
    "a time that is no number": (lambda: corrupt(11, "u1\ti1\tnoon"), ("bad.inter:11:", "'noon'", "timestamp")),
    "a feature that is no number": (bad_items, ("bad.item:3:", "'cheap'", "price")),
    "no times": (no_times, ("bad.inter", "timestamp", "TIME_FIELD")),
    "no users": (
        lambda: corrupt(1, "uid:token\titem_id:token\ttimestamp:float"),
        ("bad.inter:1:", "'user_id'", "'uid'"),
    ),
    "no items": (
        lambda: corrupt(1, "user_id:token\tiid:token\ttimestamp:float"),
        ("bad.inter:1:", "'item_id'", "'iid'"),
    ),
    "commas": (commas, ("bad.inter:1:", "'user_id:token,item_id:token,timestamp'", "field_separator", "'\\t'")),
    "single interactions": (lambda: few_interactions(1), ("bad.inter", "single interaction", "two or more")),
    "nothing to test on": (lambda: few_interactions(2), ("bad.inter", "three interactions")),
}


def test_a_time_is_not_to_be_declared_a_token(attnseq: Callable[..., tuple[int, str, str]]) -> None:
    """Tokens have no order but that of the file: the advice that other columns get would scramble the histories."""
    corrupt(11, "u1\ti1\tnoon")
    answer = attnseq("run", "--dataset=bad", *FAST)
    assert_refused(answer, ["bad.inter:11:", "'noon'", "mend the value"])
    assert "timestamp:token" not in answer[2]
    corrupt(1, "user_id:token\titem_id:token\ttimestamp:token")
    assert_refused(attnseq("run", "--dataset=bad", *FAST), ["bad.inter:1:", "declared token", "timestamp:float"])


def assert_refused(answer: tuple[int, str, str], words: Sequence[str]) -> None:
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.startswith("attnseq: error: ")
    assert len(err.splitlines()) == 1
    for word in words:
        assert word in err
    left = {path.name for path in Path().iterdir()} - {"dataset", "my.yaml"}
    assert left == set(), f"a refused run left {left}"


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_data(case: str, attnseq: Callable[..., tuple[int, str, str]]) -> None:
    make, words = BAD_FILES[case]
    make()
    assert_refused(attnseq("run", "--dataset=bad", *FAST), words)


BAD_SETTINGS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "unknown model": (["--model=SASRek"], ["'SASRek'", "'SASRec'"]),
    "model that nothing resembles": (["--model=Qqqqq"], ["'Qqqqq'", "Known: "]),
    "unknown encoder": (["--user_encoder=lsmt"], ["'lsmt'", "'lstm'"]),
    "unknown item encoder": (["--item_encoder=word"], ["'word'", "Known: "]),
    "unknown attention": (["--attention=aditive"], ["'aditive'", "'additive'"]),
    "unknown loss": (["--loss_type=bcee"], ["'bcee'", "'bce'"]),
    "unknown similarity": (["--similarity=cosin"], ["'cosin'", "'cosine'"]),
    "heads that do not divide": (["--n_heads=3"], ["n_heads is 3", "hidden_size 16"]),
    "attention heads that do not divide": (["--attention=multihead", "--attention_heads=5"], ["attention_heads is 5"]),
    "a sample as large as all": (["--loss_type=bce", "--num_negatives=500"], ["num_negatives is 500", "30 items"]),
    "misspelt key": (["--hiden_size=32"], ["'hiden_size'", "'hidden_size'"]),
    "no number": (["--learning_rate=fast"], ["learning_rate is 'fast'"]),
    "key without value": (["--learning_rate"], ["--learning_rate has no value"]),
    "stray word": (["tiny"], ["'tiny'", "--key=value"]),
    "key twice": (["--seed=1", "--seed=2"], ["--seed is given twice"]),
    "unknown metric": (["--metrics=['Recal']"], ["'recal'", "'recall'"]),
    "metrics without quotes": (["--metrics=[Recall, MRR]"], ["--metrics=\"['Recall', 'MRR']\""]),
    "a metric to select by that is not computed": (["--topk=[5]"], ["valid_metric is NDCG@10", "topk [5]"]),
    "unknown mode": (["--eval_args={'mode': 'half'}"], ["half"]),
    "unordered": (["--eval_args={'order': 'RO'}"], ["order is 'RO'", "TO"]),
    "no order": (["--eval_args={'split': {'LS': 'valid_and_test'}}"], ["no key order", "'order': 'TO'"]),
    "no such order": (["--model=BPR", "--eval_args={'order': 'T0'}"], ["order is 'T0'", "TO", "RO"]),
    "no mapping": (["--eval_args={'order': 'TO'"], ["eval_args is", "write it as {"]),
    "misspelt split": (["--eval_args={'order': 'TO', 'splt': {'RS': [8, 1, 1]}}"], ["'splt'", "'split'"]),
    "no such split": (["--eval_args={'order': 'TO', 'split': {'SL': 'valid_only'}}"], ["'SL'", "LS"]),
    "no split": (["--eval_args={'order': 'TO', 'split': None}"], ["split is None", "{'LS': 'valid_and_test'}"]),
    "two splits": (
        ["--eval_args={'order': 'TO', 'split': {'LS': 'valid_only', 'RS': [8, 1, 1]}}"],
        ["split is {'LS'", "one way"],
    ),
    "two shares": (["--eval_args={'order': 'TO', 'split': {'RS': [0.8, 0.2]}}"], ["RS is [0.8, 0.2]", "three shares"]),
    "a negative share": (
        ["--eval_args={'order': 'TO', 'split': {'RS': [1.2, -0.1, -0.1]}}"],
        ["RS is [1.2,", "from 0 on"],
    ),
    "no share": (["--eval_args={'order': 'TO', 'split': {'RS': [0, 0, 0]}}"], ["RS is [0, 0, 0]", "three shares"]),
    "nothing left out so": (
        ["--eval_args={'order': 'TO', 'split': {'LS': 'all'}}"],
        ["LS is 'all'", "valid_and_test"],
    ),
    "labels for what ranks": (
        ["--eval_args={'order': 'TO', 'group_by': 'user', 'mode': {'valid': 'full', 'test': 'labeled'}}"],
        ["mode labeled is for metrics of values", "Recall ranks candidates"],
    ),
    "a sample of no size": (["--eval_args={'order': 'TO', 'mode': 'uni'}"], ["mode is 'uni'", "uni100"]),
    "a mode for no part": (["--eval_args={'order': 'TO', 'mode': {'tset': 'full'}}"], ["'tset'", "'test'"]),
    "no such group": (["--model=BPR", "--eval_args={'group_by': 'item'}"], ["group_by is 'item'", "user"]),
    "no truth value": (["--exclude_history=no"], ["exclude_history is 'no'", "True or False"]),
    "a number for a truth value": (["--model=BPR", "--exclude_history=2"], ["exclude_history is 2", "True or False"]),
    "no truth value for RecBole": (["--shuffle=off"], ["shuffle is 'off'", "True or False"]),
    "no truth value for RecBole's model": (
        ["--model=NeuMF", "--mf_train=nope"],
        ["mf_train is 'nope'", "True or False"],
    ),
    "users by another name": (["--USER_ID_FIELD=uid"], ["tiny.inter:1:", "'uid' (USER_ID_FIELD)", "'user_id'"]),
    "items by another name": (["--ITEM_ID_FIELD=iid"], ["tiny.inter:1:", "'iid' (ITEM_ID_FIELD)", "'item_id'"]),
    "users not loaded": (["--load_col={'inter': ['item_id', 'timestamp']}"], ["'user_id' (USER_ID_FIELD)", "load_col"]),
    "no interactions loaded": (["--load_col={'intr': ['item_id']}"], ["'user_id' (USER_ID_FIELD)", "load_col"]),
    "another separator": (
        ["--field_separator=,"],
        ["tiny.inter:1:", "user_id:token\\titem_id", "field_separator", "','"],
    ),
    "another separator, columns by name": (
        ["--field_separator=,", "--load_col={'inter': ['user_id', 'item_id']}"],
        ["tiny.inter:1:", "user_id:token\\titem_id", "field_separator", "','"],
    ),
    "a number for a field": (["--ITEM_LIST_LENGTH_FIELD=5"], ["ITEM_LIST_LENGTH_FIELD is 5", "quote"]),
    "what RecBole's model refuses": (
        ["--model=SASRec", "--train_neg_sample_args=None", "--n_heads=3"],
        ["SASRec cannot be built", "attention heads (3)", "SASRec.yaml"],
    ),
    "a word that RecBole's model does not know": (
        ["--model=SASRec", "--train_neg_sample_args=None", "--hidden_act=foo"],
        ["SASRec cannot be built", "'foo'", "SASRec.yaml"],
    ),
    "one span for several": (["--trends=86400"], ["trends is 86400", "[3600, 86400]"]),
    "recent without a span": (["--model=RecentPop"], ["RecentPop needs trends", "[86400]"]),
    "what torch refuses in it": (
        ["--model=GRU4Rec", "--train_neg_sample_args=None", "--hidden_size=-3"],
        ["GRU4Rec cannot be built", "hidden_size must be"],
    ),
    "what torch refuses otherwise": (
        ["--model=BPR", "--embedding_size=-3"],
        ["BPR cannot be built", "negative dimension -3"],
    ),
    "metrics to select by": (["--valid_metric=['NDCG@10']"], ["valid_metric is ['NDCG@10']", "one metric"]),
    "no separator": (["--model=BPR", "--field_separator="], ["field_separator is ''", "between columns"]),
    "columns not used": (["--unused_col=['timestamp']"], ["unused_col is ['timestamp']", "{'inter': ['timestamp']}"]),
    "duplicates": (["--model=BPR", "--rm_dup_inter=True"], ["rm_dup_inter is True", "first or last"]),
    "checkpoints nowhere": (["--checkpoint_dir=5"], ["checkpoint_dir is 5", "folder"]),
    "a folder for a file": (["--save_dataset=True", "--dataset_save_path=dataset"], ["dataset_save_path is", "a file"]),
    "values without a field": (["--val_interval=[3,5]"], ["val_interval is [3, 5]", "{'rating': '[3,inf)'}"]),
    "a weight to load": (["--model=BPR", "--preload_weight=w"], ["preload_weight is 'w'", "write it as"]),
    "no method": (["--discretization={'price': 10}"], ["discretization is {'price': 10}", "'method': 'ED'"]),
    "no such encoding": (["--encoding=utf9"], ["encoding is 'utf9'", "utf-8"]),
    "no such level": (["--state=loud"], ["state is 'loud'", "INFO"]),
    "a number for True": (["--model=BPR", "--enable_amp=1"], ["enable_amp is 1", "True or False"]),
    "no decay": (["--model=BPR", "--weight_decay=None"], ["weight_decay is None", "from 0 on"]),
    "no clipping": (["--model=BPR", "--clip_grad_norm={'abc': 1}"], ["clip_grad_norm is {'abc': 1}", "'max_norm': 5"]),
    "a number for fields": (["--normalize_field=5"], ["normalize_field is 5", "list columns"]),
    "a word for fields": (["--alias_of_item_id=other_id"], ["alias_of_item_id is 'other_id'", "list columns"]),
    "a word for parts": (
        ["--benchmark_filename=train"],
        ["benchmark_filename is 'train'", "['train', 'valid', 'test']"],
    ),
    "no patience": (["--model=BPR", "--stopping_step=abc"], ["stopping_step is 'abc'", "from 0 on"]),
    "less than no patience": (["--stopping_step=-1"], ["stopping_step is -1", "from 0 on"]),
    "no places": (["--model=BPR", "--loss_decimal_place=abc"], ["loss_decimal_place is 'abc'"]),
    "unknown learner": (["--model=BPR", "--learner=adm"], ["'adm'", "'adam'", "sparse_adam"]),
    "no number of epochs": (["--model=BPR", "--epochs=1.5"], ["epochs is 1.5"]),
    "no batch": (["--model=BPR", "--train_batch_size=0"], ["train_batch_size is 0", "from 1 on"]),
    "no rate for RecBole": (["--model=BPR", "--learning_rate=fast"], ["learning_rate is 'fast'"]),
    "no history": (
        ["--model=SASRec", "--train_neg_sample_args=None", "--MAX_ITEM_LIST_LENGTH=0"],
        ["MAX_ITEM_LIST_LENGTH is 0", "from 1 on"],
    ),
    "no such precision": (["--precision=float16"], ["precision is 'float16'", "bfloat16"]),
    "words for lengths": (["--topk=['5']"], ["topk is ['5']", "[5, 10]"]),
    "a list longer than the catalogue": (
        ["--model=BPR", "--topk=[10,40]"],
        ["first 40 items", "'tiny' has 30", "topk"],
    ),
    "a list longer than the catalogue that samples are ranked of": (
        ["--topk=[10,40]", "--eval_args={'split': {'LS': 'valid_and_test'}, 'order': 'TO', 'mode': 'uni10'}"],
        ["first 40 items", "'tiny' has 30", "topk"],
    ),
    "no lengths": (["--topk=[]"], ["topk is []", "[5, 10]"]),
    "no metrics": (["--metrics=[]"], ["metrics is []", "['Recall', 'NDCG']"]),
    "numbers for metrics": (["--metrics=[5]"], ["metrics is [5]", "['Recall', 'NDCG']"]),
    "a file to load": (["--load_col=inter"], ["load_col is 'inter'", "{'inter': ['user_id',", "None"]),
    "a bracket missing": (["--load_col={'inter': ['user_id', 'item_id']"], ["load_col is \"{'inter'", "write it as"]),
    "a column to load": (["--load_col={'inter': 'user_id'}"], ["load_col is {'inter': 'user_id'}", "write it as"]),
    "a column to leave": (["--unload_col={'inter': 'rating'}"], ["unload_col is {'inter': 'rating'}", "write it as"]),
    "missing file": (["--config_files=none.yaml"], ["none.yaml", "does not exist"]),
    "broken file": (["--config_files=my.yaml"], ["my.yaml:3", "not valid YAML"]),
    "a device": (["--device=cuda"], ["device is 'cuda'", "gpu_id", "use_gpu=False"]),
    "a device for a record": (["--device=cpu", "--record=runs"], ["device is 'cpu'", "gpu_id"]),
    "no processes": (["--nproc=0"], ["--nproc is 0"]),
    "no data set": (["--dataset="], ["no data set named"]),
    "a snapshot without a record": (["--snapshot=x"], ["--snapshot works with --record only"]),
    "cheap batches without a record": (["--fast_batches"], ["--fast_batches works with --record only"]),
    "a number for sparse updates": (["--sparse_updates=1"], ["sparse_updates is 1", "auto, True or False"]),
    "a sparse learner": (["--learner=sparse_adam"], ["learner is sparse_adam", "sparse_updates"]),
    "a transform": (["--transform=inverse_itemseq"], ["transform is 'inverse_itemseq'", "leave it out"]),
    "no parts": (["--benchmark_filename=[]"], ["benchmark_filename is []", "['train', 'valid', 'test']"]),
    "nothing to learn from": (
        ["--eval_args={'split':{'RS':[0,0,1]},'order':'TO','group_by':'none','mode':'full'}"],
        ["leaves no interaction to learn from"],
    ),
    "history left out of samples": (
        [
            "--exclude_history=True",
            "--eval_args={'split':{'LS':'valid_and_test'},'order':'TO','group_by':'user','mode':'uni9'}",
        ],
        ["mode is uni9", "exclude_history to False"],
    ),
    "no name for lengths": (["--ITEM_LIST_LENGTH_FIELD=None"], ["ITEM_LIST_LENGTH_FIELD is None", "must be a word"]),
    "no prefix": (["--model=BPR", "--NEG_PREFIX=None"], ["NEG_PREFIX is None", "must be a word"]),
    "ids that are numbers": (["--ITEM_ID_FIELD=timestamp"], ["'timestamp' (ITEM_ID_FIELD) is declared float", "token"]),
    "a record that cannot be": (["--record=my.yaml"], ["records go to my.yaml", "is no folder to write in"]),
}


def test_files_of_settings_may_have_blanks_in_their_names(workdir: Path) -> None:
    """Where one string names several, as RecBole takes them, it is no file's own name."""
    for name in ("my cfg.yaml", "a.yaml", "b.yaml"):
        Path(name).touch()
    given = ["my cfg.yaml", "a.yaml,b.yaml", "a.yaml b.yaml", "missing c.yaml"]
    assert cli.config_files(given) == ["my cfg.yaml", *(2 * ["a.yaml", "b.yaml"]), "missing", "c.yaml"]


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_bad_settings(case: str, attnseq: Callable[..., tuple[int, str, str]]) -> None:
    write_tiny(Path("dataset"))
    Path("my.yaml").write_text("epochs: 1\ntopk: [5\n")
    arguments, words = BAD_SETTINGS[case]
    keys = {argument.partition("=")[0] for argument in arguments}
    rest = [flag for flag in FAST if flag.partition("=")[0] not in keys]
    assert_refused(attnseq("run", *([] if case == "no data set" else ["--dataset=tiny"]), *rest, *arguments), words)


BOTH = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "x"]}
MISSING = {
    "no file": ([], {}, ["data set 'mine'", "no file mine.inter", "it holds no file"]),
    "a file of another name": ([], {"tiny.inter": ""}, ["no file mine.inter", "it holds tiny.inter"]),
    "no such part": (
        ["--benchmark_filename=['train', 'valid', 'test']"],
        {"mine.inter": ""},
        ["no file mine.train.inter", "it holds mine.inter", "benchmark_filename"],
    ),
    "no items": (
        ["--item_encoder=features", "--selected_features=['x']", f"--load_col={BOTH}"],
        None,
        ["selected_features names 'x'", "no file mine.item"],
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_files(case: str, attnseq: Callable[..., tuple[int, str, str]]) -> None:
    arguments, contents, words = MISSING[case]
    if contents is None:
        write_tiny(Path("dataset"))
        Path("dataset/tiny").rename("dataset/mine")
        Path("dataset/mine/tiny.inter").rename("dataset/mine/mine.inter")
    else:
        Path("dataset/mine").mkdir(parents=True)
        for name, text in contents.items():
            Path("dataset/mine", name).write_text(text)
    keys = {argument.partition("=")[0] for argument in arguments}
    rest = [flag for flag in FAST if flag.partition("=")[0] not in keys]
    assert_refused(attnseq("run", "--dataset=mine", *rest, *arguments), words)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(attnseq: Callable[..., tuple[int, str, str]]) -> None:
    write_tiny(Path("dataset"))
    Path("dataset/tiny/tiny.inter").chmod(0)
    assert_refused(attnseq("run", "--dataset=tiny", *FAST), ["tiny.inter", "Permission denied"])


def test_bad_data_with_two_processes(attnseq: Callable[..., tuple[int, str, str]]) -> None:
    corrupt(11, "u1\ti1\tnoon")
    assert_refused(attnseq("run", "--dataset=bad", "--nproc=2", *FAST), ["bad.inter:11:", "'noon'"])


class TestEvaluate:
    def test_scores_what_the_run_scored(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        write_tiny(Path("dataset"))
        _, out, _ = attnseq("run", "--dataset=tiny", *FAST)
        *scores, checkpoint = out.splitlines()[-4:]
        kept = Path(checkpoint.removeprefix("checkpoint: ")).rename("kept.pth")
        for folder in ("log", "saved", "log_tensorboard"):
            shutil.rmtree(folder)
        files = sorted(Path().rglob("*"))
        code, out, _ = attnseq("evaluate", str(kept), "--model=AttnSeq")
        assert code == 0
        assert out.splitlines()[-3:] == scores
        assert sorted(Path().rglob("*")) == files  # nothing is trained, so nothing is logged

    def test_finds_data_that_have_moved(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        write_tiny(Path("dataset"))
        _, out, _ = attnseq("run", "--dataset=tiny", *FAST)
        *scores, checkpoint = out.splitlines()[-4:]
        kept = checkpoint.removeprefix("checkpoint: ")
        Path("dataset").rename("elsewhere")
        code, _, error = attnseq("evaluate", kept)
        assert code == 2
        assert "dataset/tiny" in error
        before = Path(kept).read_bytes()
        code, out, _ = attnseq("evaluate", kept, "--data_path=elsewhere")
        assert (code, out.splitlines()[-3:]) == (0, scores)
        assert Path(kept).read_bytes() == before

    def test_refuses_checkpoints_that_it_cannot_use(self, attnseq: Callable[..., tuple[int, str, str]]) -> None:
        write_tiny(Path("dataset"))
        _, out, _ = attnseq("run", "--dataset=tiny", *FAST)
        saved = Path(out.splitlines()[-1].removeprefix("checkpoint: "))
        Path("my.yaml").write_bytes(saved.read_bytes()[:-100])
        Path("dataset/chance.pth").write_bytes(b"\x80\x04\x8e" + (1 << 62).to_bytes(8, "little"))  # asks for 4 EiB
        kept = saved.rename(Path("dataset/kept.pth"))
        for folder in ("log", "saved", "log_tensorboard"):
            shutil.rmtree(folder)
        cases = {
            ("my.yaml",): ["my.yaml", "truncated"],
            ("none.pth",): ["none.pth", "does not exist"],
            ("dataset/chance.pth",): ["chance.pth", "cannot be read"],
            ("dataset/tiny/tiny.inter",): ["tiny.inter", "cannot be read"],
            (str(kept), "--model=SASRec"): ["kept.pth", "holds a AttnSeq, not a SASRec"],
        }
        for arguments, words in cases.items():
            assert_refused(attnseq("evaluate", *arguments), words)


def test_output_that_nobody_reads_ends_quietly() -> None:
    """``attnseq datasets | head -1`` is no fault."""
    command = [sys.executable, "-m", "recbole_attnseq.cli", "datasets"]
    ends = os.pipe()
    os.close(ends[0])
    try:
        found = subprocess.run(command, stdout=ends[1], stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(ends[1])
    assert (found.returncode, found.stderr) == (141, "")


def test_a_broken_pipe_of_another_kind_keeps_its_trace(
    attnseq: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError("a worker's")

    monkeypatch.setattr("recbole_attnseq.data.prepare.datasets_command.run", broken)
    with pytest.raises(BrokenPipeError, match="a worker's"):
        attnseq("datasets")


def test_a_fault_of_ours_keeps_its_trace(
    attnseq: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only bad input is put in one line; a bug must not look like one."""
    write_tiny(Path("dataset"))
    monkeypatch.setattr("recbole_attnseq.model.AttnSeq.pack", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attnseq("run", "--dataset=tiny", *FAST)


def test_a_fault_of_a_models_keeps_its_trace(
    attnseq: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ValueError at work, or a name that its constructor lacks, is no setting that it refuses."""
    write_tiny(Path("dataset"))
    monkeypatch.setattr("recbole.model.general_recommender.bpr.BPR.calculate_loss", lambda *_: int("x"))
    with pytest.raises(ValueError, match="invalid literal"):
        attnseq("run", "--model=BPR", "--dataset=tiny", *FAST)
    monkeypatch.delattr("recbole.model.general_recommender.bpr.BPRLoss")
    with pytest.raises(NameError):
        attnseq("run", "--model=BPR", "--dataset=tiny", *FAST)


class TestFlags:
    @pytest.mark.parametrize(
        ("flags", "settings"),
        [
            (["--a=1", "--b", "x"], {"a": "1", "b": "x"}),
            (["--a=k=v"], {"a": "k=v"}),
            (["--a=1", "--a=1"], {"a": "1"}),
            (["--a="], {"a": ""}),
            (["--shift", "-3"], {"shift": "-3"}),
        ],
    )
    def test_are_read(self, flags: list[str], settings: dict[str, str]) -> None:
        assert cli.settings_of(flags) == settings

    @pytest.mark.parametrize("flags", [["--a"], ["--a", "--b=1"], ["word"], ["--"], ["-a=1"], ["--a=1", "--a=2"]])
    def test_are_refused(self, flags: list[str]) -> None:
        with pytest.raises(UserError):
            cli.settings_of(flags)


def test_only_the_command_line_reads_argv() -> None:
    """RecBole's Config reads it too, which compat holds clean; nothing else may."""
    package = Path(cli.__file__).parent
    readers = {path.name for path in package.rglob("*.py") if "sys.argv" in path.read_text(encoding="utf-8")}
    assert readers == {"cli.py", "compat.py"}
