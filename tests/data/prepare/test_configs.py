"""Every data set has a configuration that names what the preparer writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from recbole_attnseq.data.prepare.catalogue import SOURCES

_ROOT = Path(__file__).parents[3]
_FOLDER = _ROOT / "configs" / "dataset"


def test_configs_and_data_sets_are_the_same() -> None:
    assert {path.stem for path in _FOLDER.glob("*.yaml")} == set(SOURCES)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_config_has_what_a_run_needs(name: str) -> None:
    path = _FOLDER / f"{name}.yaml"
    config = yaml.safe_load(path.read_text("utf-8"))
    source = SOURCES[name]
    written = {"user_id", "item_id", "timestamp"} | {f.name for form in source.interactions for f in form.fields}
    assert {"user_id", "item_id", "timestamp"} <= set(config["load_col"]["inter"]) <= written
    assert config["USER_ID_FIELD"] == "user_id"
    assert config["TIME_FIELD"] == "timestamp"
    for bound in ("user_inter_num_interval", "item_inter_num_interval"):
        assert re.fullmatch(r"\[\d+,inf\)", config[bound])
    assert 20 <= config["MAX_ITEM_LIST_LENGTH"] <= 200
    assert config["eval_args"] == {
        "split": {"LS": "valid_and_test"},
        "order": "TO",
        "group_by": "user",
        "mode": "full",
    }
    assert config["metrics"] == ["Recall", "NDCG", "MRR", "Hit", "Precision"]
    assert config["topk"] == [5, 10, 20]
    assert config["valid_metric"] == "NDCG@10"
    comments = path.read_text("utf-8")
    for word in (source.page, source.licence, f"attnseq prepare {name} "):
        assert word in comments


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_declaration_is_complete(name: str) -> None:
    source = SOURCES[name]
    assert all((source.title, source.page, source.licence, source.citation, source.get))
    assert source.page.startswith(("https://", "http://"))
    assert all(one.url.startswith("https://") for one in source.download)
    kinds = {form.kind for form in source.side}
    assert kinds <= {"item", "user"}
    specs = [field.spec for table in (*source.interactions, *source.side) for field in table.fields]
    for spec in specs:
        assert re.fullmatch(r"\w+:(token|token_seq|float|float_seq)", spec)


def test_every_data_set_is_prepared_from_a_sample() -> None:
    """Its name stands in the module of its domain, which holds samples in the owners' formats."""
    modules = {"e-commerce": "ecommerce"}
    for name in SOURCES:
        domain = SOURCES[name].domain
        path = Path(__file__).with_name(f"test_{modules.get(domain, domain)}.py")
        assert f'"{name}"' in path.read_text("utf-8"), name


@pytest.mark.parametrize("domain", ["ecommerce", "music", "video", "news"])
def test_every_data_set_stands_in_the_pages(domain: str) -> None:
    page = (_ROOT / "datasets" / f"{domain}.md").read_text("utf-8")
    for name in SOURCES:
        if SOURCES[name].domain.replace("-", "") == domain:
            assert f"## {name}\n" in page
            assert SOURCES[name].citation in page
            assert SOURCES[name].page in page
            assert f"attnseq prepare {name} " in page
