"""Spaces: what they draw, what they refuse, and RecBole's own format."""

from __future__ import annotations

import math

import optuna
import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.tuning.space_files import load_space, parse_hyper_test
from recbole_attnseq.tuning.space_values import check_values
from recbole_attnseq.tuning.spaces import parse_space

BASE = {"user_encoder": "transformer", "hidden_size": 64, "n_heads": 2, "learning_rate": 0.001}


def space(**parameters):
    return parse_space({"parameters": parameters}, "space.yaml")


def draws(space, count=60, base=BASE, preset=None):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [space.sample(study.ask(), base, preset) for _ in range(count)]


def test_conditions_hold():
    both = space(
        user_encoder={"type": "choice", "values": ["transformer", "gru"]},
        n_heads={"type": "choice", "values": [1, 2], "when": {"user_encoder": "transformer"}},
    )
    drawn = draws(both)
    assert {d["user_encoder"] for d in drawn} == {"transformer", "gru"}
    assert all(("n_heads" in d) == (d["user_encoder"] == "transformer") for d in drawn)


def test_a_condition_on_a_key_that_is_not_searched():
    only = space(n_heads={"type": "choice", "values": [1, 2], "when": {"user_encoder": ["transformer", "other"]}})
    assert all("n_heads" in d for d in draws(only))
    assert draws(only, base={**BASE, "user_encoder": "gru"})[0] == {}


def test_heads_divide_the_width_whatever_the_order_of_trials():
    heads = space(
        hidden_size={"type": "int", "low": 6, "high": 12, "step": 2},
        n_heads={"type": "choice", "values": [1, 2, 3, 4], "divides": "hidden_size"},
    )
    drawn = draws(heads, 200)
    assert all(d["hidden_size"] % d["n_heads"] == 0 for d in drawn)
    assert {(d["hidden_size"], d["n_heads"]) for d in drawn} >= {(6, 3), (8, 4), (10, 2), (12, 4), (12, 3)}


def test_log_and_step_ranges():
    numbers = space(
        learning_rate={"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
        dropout={"type": "float", "low": 0.1, "high": 0.5, "step": 0.2},
        width={"type": "int", "low": 32, "high": 96, "step": 32},
    )
    drawn = draws(numbers, 200)
    assert {round(d["dropout"], 6) for d in drawn} == {0.1, 0.3, 0.5}
    assert {d["width"] for d in drawn} == {32, 64, 96}
    below = sum(d["learning_rate"] < 1e-3 for d in drawn)
    assert 70 < below < 130, "half of a log range lies below its geometric mean"


def test_lists_are_values_like_others():
    lists = space(dropout_probs={"type": "choice", "values": [[0.1, 0.2], [0.3, 0.4]]})
    assert {tuple(d["dropout_probs"]) for d in draws(lists)} == {(0.1, 0.2), (0.3, 0.4)}


def test_a_preset_is_run_exactly_even_outside_the_range():
    narrow = space(
        learning_rate={"type": "float", "low": 0.01, "high": 0.1}, hidden_size={"type": "int", "low": 8, "high": 64}
    )
    preset = {"learning_rate": 0.5, "hidden_size": 32, "item_dense": True}
    study = optuna.create_study()
    study.enqueue_trial(narrow.enqueued(preset, BASE))
    trial = study.ask()
    assert narrow.sample(trial, BASE, preset) == preset
    assert trial.params == {"hidden_size": 32}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"type": "float", "low": 2, "high": 1}, ["width", "2", "1", "empty"]),
        ({"type": "choice", "values": []}, ["width", "no values"]),
        ({"type": "int", "low": 1, "high": 2.5}, ["width", "high", "2.5"]),
        ({"type": "int", "low": 1}, ["width", "high", "None"]),
        ({"type": "float", "low": 0, "high": 1, "log": True}, ["width", "low", "log"]),
        ({"type": "float", "low": 1, "high": 2, "step": 0}, ["width", "step"]),
        ({"type": "float", "low": 1, "high": 2, "step": 0.1, "log": True}, ["width", "log", "step"]),
        ({"type": "int", "low": 1, "high": 2, "stepp": 1}, ["width", "stepp", "'step'"]),
        ({"type": "flaot", "low": 1, "high": 2}, ["width", "flaot", "'float'"]),
        ({"low": 1, "high": 2}, ["width", "type"]),
        ({"type": "choice", "values": "relu"}, ["width", "values is 'relu'", "list"]),
        ({"type": "choice", "values": 5}, ["width", "values is 5"]),
        ({"type": "choice", "values": [1], "when": "gru"}, ["width", "when is 'gru'"]),
        ({"type": "choice", "values": [0, 1], "divides": "hidden_size"}, ["width", "above 0", "[0, 1]"]),
        ({"type": "choice", "values": [1], "divides": ["hidden_size"]}, ["width", "divides is"]),
    ],
)
def test_what_is_wrong_is_named(spec, words):
    with pytest.raises(UserError) as error:
        space(width=spec)
    assert all(word in str(error.value) for word in [*words, "space.yaml"])


@pytest.mark.parametrize("key", ["divides", "when"])
def test_a_parameter_looks_at_earlier_ones_only(key):
    """One drawn later has not its trial's value yet."""
    heads = {"type": "choice", "values": [1, 2], key: "width" if key == "divides" else {"width": 4}}
    width = {"type": "int", "low": 4, "high": 8}
    with pytest.raises(UserError, match="heads looks at width, which is listed after it"):
        space(heads=heads, width=width)
    assert space(width=width, heads=heads).names() == ["width", "heads"]


@pytest.mark.parametrize(
    "content",
    [
        {"parameters": {}},
        {"parameters": {"a": {"type": "choice", "values": [1]}}, "settings": ["x"]},
        {"parameters": {"a": {"type": "choice", "values": [1]}}, "published": 5},
        {"parameters": {"a": {"type": "choice", "values": [1]}}, "published": [{"name": "x", "settings": "abc"}]},
    ],
)
def test_sections_of_the_wrong_kind(content):
    with pytest.raises(UserError, match=r"x\.yaml: "):
        parse_space(content, "x.yaml")


@pytest.mark.parametrize("content", [b"parameters: {a: 2024-13-45}", b"\xff\xfe", b"parameters: ["])
def test_files_that_are_no_yaml(tmp_path, content):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.yaml"):
        load_space(str(path))


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("parameter: {}", "{}: a space needs 'parameters:'"),
        ("parameters: {a: {type: float, low: 2, high: 1}}", "{}: a: the range 2 to 1 is empty; swap low and high."),
    ],
)
def test_what_is_wrong_in_yaml_is_said_once(tmp_path, content, answer):
    path = tmp_path / "x.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as error:
        load_space(str(path))
    assert str(error.value).startswith(answer.format(path))
    assert str(error.value).count(str(path)) == 1


DEFAULTS = {**BASE, "dropout_prob": 0, "mlp_hidden_size": [64], "embedding_dropout_prob": "auto", "weight_average": 0.9}


@pytest.mark.parametrize(
    ("key", "spec", "words"),
    [
        ("learning_rate", {"type": "float", "low": -0.1, "high": 0.1}, r"as -0.1; it takes a number above 0"),
        ("learning_rate", {"type": "float", "low": 0, "high": 0.1}, r"as 0.0; it takes a number above 0"),
        ("learning_rate", {"type": "choice", "values": [0.1, "fast"]}, r"as 'fast'; it takes a number"),
        ("hidden_size", {"type": "choice", "values": [64, -8]}, r"as -8; it takes a whole number above 0"),
        ("hidden_size", {"type": "choice", "values": ["64", "wide"]}, r"as 'wide'; it takes a number"),
        ("hidden_size", {"type": "float", "low": 8, "high": 64}, r"as 8.0; it takes a whole number above 0"),
        ("n_heads", {"type": "int", "low": 0, "high": 4}, r"as 0; it takes a whole number above 0"),
        ("dropout_prob", {"type": "float", "low": 0, "high": 2}, r"as 2.0; it takes a probability"),
    ],
)
def test_values_that_no_run_can_have(key, spec, words):
    with pytest.raises(UserError, match=f"space.yaml: {key} would be tried {words}"):
        check_values(space(**{key: spec}), DEFAULTS)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("hidden_size", [8, "16"]),
        ("learning_rate", ["1e-3", 1]),
        ("mlp_hidden_size", ["[64,64]", [32]]),
        ("embedding_dropout_prob", ["auto", 0.1]),
        ("weight_average", [0.9, 0, False, None]),
        ("dropout_prob", [0, 0.5]),
        ("unknown_size", ["wide", -1]),
    ],
)
def test_values_that_may_be(key, values):
    check_values(space(**{key: {"type": "choice", "values": values}}), DEFAULTS)


def test_what_a_run_writes_into_a_value_stays_out_of_the_space():
    """RecBole's Config completes the mappings that it is given."""
    choices = space(
        sampling={"type": "choice", "values": [{"distribution": "uniform"}, {"distribution": "popularity"}]}
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(8):
        choices.sample(study.ask(), {})["sampling"]["alpha"] = 1.0
    assert choices.parameters[0].values == ({"distribution": "uniform"}, {"distribution": "popularity"})


def test_an_unknown_key_is_named_with_the_closest():
    misspelt = space(learning_rat={"type": "float", "low": 1, "high": 2})
    with pytest.raises(UserError, match=r"learning_rat.*learning_rate"):
        misspelt.check_keys(BASE)
    condition = space(n_heads={"type": "choice", "values": [1], "when": {"user_encodr": "gru"}})
    with pytest.raises(UserError, match=r"user_encodr.*user_encoder"):
        condition.check_keys(BASE)


def test_sections_and_files(tmp_path):
    with pytest.raises(UserError, match="parameter"):
        parse_space({"parameter": {}}, "x.yaml")
    with pytest.raises(UserError, match=r"publshed.*published"):
        parse_space({"parameters": {}, "publshed": []}, "x.yaml")
    with pytest.raises(UserError, match="does not exist"):
        load_space(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="does not exist"):
        load_space("../space/AttnSeq-parts")  # a name is no path
    bad = tmp_path / "bad.yaml"
    bad.write_text("parameters:\n  a: [1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"bad.yaml:\d"):
        load_space(str(bad))


HYPER_TEST = """learning_rate loguniform -8,-2
embedding_size choice [64,96,128]
mlp_hidden_size choice ['[64,64]', '[128,128]']
dropout uniform 0.1,0.5
step quniform 10,45,20
ratio quniform 0.0,1.0,0.25

# a comment
"""


def test_recboles_format_is_read_as_recbole_reads_it(tmp_path):
    path = tmp_path / "hyper.test"
    path.write_text(HYPER_TEST, encoding="utf-8")
    own = load_space(str(path))
    drawn = draws(own, 300)
    rates = [d["learning_rate"] for d in drawn]
    assert math.exp(-8) <= min(rates) < math.exp(-7)
    assert math.exp(-3) < max(rates) <= math.exp(-2)
    assert {d["embedding_size"] for d in drawn} == {64, 96, 128}
    assert {d["mlp_hidden_size"] for d in drawn} == {"[64,64]", "[128,128]"}
    assert {d["step"] for d in drawn} == {20, 40}
    assert {d["ratio"] for d in drawn} == {0, 0.25, 0.5, 0.75, 1}
    assert all(0.1 <= d["dropout"] <= 0.5 for d in drawn)


@pytest.mark.parametrize("line", ["a loguniform -1", "a normal 0,1", "a choice []", "a choice [x", "a uniform 2,1"])
def test_a_line_that_cannot_be_read_is_named(line):
    with pytest.raises(UserError, match=r"hyper.test:2: a"):
        parse_hyper_test("b choice [1,2]\n" + line, "hyper.test")


def test_a_fixed_key_is_searched_no_more():
    two = space(a={"type": "int", "low": 1, "high": 2}, b={"type": "int", "low": 1, "high": 2})
    assert two.without(["a"]).names() == ["b"]
