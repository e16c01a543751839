"""A data set of 40 users on which an epoch takes milliseconds, and studies over functions that need no data."""

from __future__ import annotations

import pytest

USERS, ITEMS, LENGTH = 40, 15, 8


@pytest.fixture(scope="session")
def data_path(tmp_path_factory):
    """A folder with the data set 'cycle': after item i comes item i + 1; a user's last item is a canary of its own."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "cycle").mkdir()
    rows = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(USERS):
        items = [f"i{(user + step) % ITEMS}" for step in range(LENGTH)] + [f"canary{user}"]
        rows += [f"u{user}\t{item}\t{1000 * user + step}" for step, item in enumerate(items)]
    (folder / "cycle" / "cycle.inter").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(folder)


@pytest.fixture
def settings(data_path):
    """Small and fast, with the split that sequential recommendation uses."""
    return {
        "data_path": data_path,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "metrics": ["NDCG", "Hit"],
        "topk": [5],
        "valid_metric": "NDCG@5",
        "epochs": 3,
        "train_batch_size": 64,
        "hidden_size": 16,
        "inner_size": 16,
        "n_layers": 1,
        "MAX_ITEM_LIST_LENGTH": 10,
        "use_gpu": False,
        "show_progress": False,
    }


@pytest.fixture
def space_file(tmp_path):
    """A space of two parameters, which suit AttnSeq and GRU4Rec alike."""
    path = tmp_path / "space.yaml"
    path.write_text(
        "parameters:\n"
        "  learning_rate: {type: float, low: 0.001, high: 0.1, log: true}\n"
        "  weight_decay: {type: choice, values: [0.0, 0.001]}\n"
        "published:\n"
        "  - {name: quick, settings: {learning_rate: 0.03, weight_decay: 0.0}}\n",
        encoding="utf-8",
    )
    return str(path)
