"""Bad settings: one line each, which names the key and what to do."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.nn.settings import NetworkSettings
from tests.building import default_values, settings

KEYS = {field.name: field.type for field in fields(NetworkSettings)}
WRONG: list[tuple[str, Any, str]] = [
    *[(key, None, "not set") for key in KEYS],
    *[(key, "many", "expected") for key, kind in KEYS.items() if kind in ("int", "float", "bool")],
    *[(key, 3, "expected") for key, kind in KEYS.items() if kind in ("str", "bool")],
    *[(key, 2.5, "expected int") for key, kind in KEYS.items() if kind == "int"],
    *[(key, True, "expected") for key, kind in KEYS.items() if kind in ("int", "float")],
    *[(key, -1, "above 0|lies in") for key, kind in KEYS.items() if kind in ("int", "float")],
    *[(key, 0, "above 0") for key, kind in KEYS.items() if kind == "int"],
    *[(key, float("nan"), "expected") for key, kind in KEYS.items() if kind == "float"],
    *[(key, float("inf"), "expected") for key, kind in KEYS.items() if kind == "float"],
    ("temperature", 0.0, "above 0"),
    ("layer_norm_eps", 0.0, "above 0"),
    ("initializer_range", 0.0, "above 0"),
    ("embedding_dropout_prob", 1.0, r"\[0, 1\)"),
    ("hidden_dropout_prob", 1.0, r"\[0, 1\)"),
    ("attn_dropout_prob", 1.5, r"\[0, 1\)"),
    ("mean_dropout_prob", 1.0, r"\[0, 1\)"),
    ("gbce_t", 1.1, r"\[0, 1\]"),
    ("user_activation", "gelu", "none or relu"),
]


@pytest.mark.parametrize(("key", "value", "says"), WRONG)
def test_a_wrong_value_is_refused_by_its_key(key: str, value: Any, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        settings(**{key: value})
    message = str(caught.value)
    assert key in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "misspelt", "meant"),
    [
        ("user_encoder", "transfomer", "transformer"),
        ("item_encoder", "ids", "id"),
        ("attention", "multi-head", "multihead"),
        ("similarity", "cosin", "cosine"),
        ("loss_type", "sampled-softmax", "sampled_softmax"),
    ],
)
def test_an_unknown_part_is_answered_with_the_closest_and_all(key: str, misspelt: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"{key} '{misspelt}'. Did you mean '{meant}'") as caught:
        settings(**{key: misspelt})
    assert "Known: " in str(caught.value)


@pytest.mark.parametrize("encoder", ["transformer", "transformer_unprojected", "transformer_mean"])
def test_heads_must_divide_the_width(encoder: str) -> None:
    with pytest.raises(UserError, match=r"n_heads is 3, which does not divide hidden_size 8"):
        settings(user_encoder=encoder, n_heads=3)
    with pytest.raises(UserError, match=r"attention_heads is 3, which does not divide hidden_size 8"):
        settings(attention="multihead", attention_heads=3)
    # Where the key is not used its value is nobody's business.
    settings(user_encoder="gru", n_heads=3, attention="dot", attention_heads=3)


def test_a_sample_must_be_smaller_than_the_items() -> None:
    for loss_type in ("bce", "gbce", "sampled_softmax"):
        with pytest.raises(UserError, match="num_negatives is 11, but there are only 11 items"):
            settings(loss_type=loss_type, items=12, num_negatives=11)
        settings(loss_type=loss_type, items=12, num_negatives=10)
    settings(loss_type="softmax", items=12, num_negatives=11)


def test_settings_survive_as_a_dictionary() -> None:
    given = settings(user_encoder="gru", temperature=0.3)
    assert NetworkSettings(**given.as_dict()) == given
    assert given.as_dict()["user_encoder"] == "gru"


def test_every_key_has_a_default() -> None:
    assert set(KEYS) - set(default_values()) == {"items", "max_length"}
