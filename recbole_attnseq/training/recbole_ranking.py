"""Full ranking by RecBole's own trainers and their scores, batch by batch, as far as they let others in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.ranking import Ranking, answers, rank_targets, seen_items


def _ranks_itself(trainer: Any) -> bool:
    """Whether a trainer has a way of its own, as AttnSeq's does."""
    return hasattr(trainer, "rank")


def _by_ranks_alone(trainer: Any, config: Any) -> bool:
    """Whether that way answers all metrics of a run: it ranks all items, not samples of them."""
    full = all(mode == "full" for mode in config["eval_args"]["mode"].values())
    return _ranks_itself(trainer) and full and answers(config["metrics"])


def check_candidates(config: Any) -> None:
    """Refuse to leave seen items out of sampled candidates, which RecBole draws without a look at a row's history.

    Args:
        config: of a run with ``exclude_history``.

    Raises:
        UserError: a sequential model is validated or tested on samples.
    """
    from recbole.utils import ModelType

    sampled = [mode for mode in config["eval_args"]["mode"].values() if mode.startswith(("uni", "pop"))]
    if config["MODEL_TYPE"] == ModelType.SEQUENTIAL and sampled:
        raise UserError(
            "exclude_history leaves what a user had out of a ranking of all items, but eval_args' mode is "
            f"{sampled[0]}: set mode to full, or exclude_history to False."
        )


def check_topk(trainer: Any, config: Any, model: Any) -> None:
    """Refuse a list longer than the catalogue, which RecBole's way of ranking stumbles over after the first epoch.

    Args:
        trainer: one that is being made; AttnSeq's counts ranks among all items, and needs no list for it.
        config: of its run.
        model: one of RecBole's; those that score single rows (context-aware ones) have no catalogue.

    Raises:
        UserError: ``topk`` asks for more items than there are.
    """
    from recbole.utils import EvaluatorType

    if config["eval_type"] != EvaluatorType.RANKING or _by_ranks_alone(trainer, config):
        return
    longest, columns = max(config["topk"]), getattr(model, "n_items", None)
    if columns is not None and longest > columns:
        raise UserError(
            f"topk asks for the first {longest} items, but '{config['dataset']}' has {columns - 1}: lower topk."
        )


def exclude_history(trainer: Any) -> None:
    """Make a trainer of RecBole's leave seen items out of its rankings, in validation and test.

    RecBole does so for its general models but not for its sequential ones; a fair table needs one rule for all.
    AttnSeq's own way of ranking has the rule built in, so here it is only given to the way of RecBole's that metrics
    like GAUC take; general models need none. Calling it again changes nothing.

    Raises:
        UserError: several processes, whose shares of the rows are RecBole's secret.
    """
    from recbole.utils import ModelType

    built_in = _by_ranks_alone(trainer, trainer.config)
    if trainer.config["MODEL_TYPE"] != ModelType.SEQUENTIAL or built_in or hasattr(trainer, "restart_rows"):
        return
    if not trainer.config["single_spec"]:
        raise UserError(
            f"exclude_history with several processes works for AttnSeq's ranks alone, which {trainer.config['model']} "
            f"with the metrics {', '.join(trainer.config['metrics'])} does not take; run one process, or set "
            "exclude_history=False."
        )
    score, evaluate = trainer._full_sort_batch_eval, trainer.evaluate
    place: dict[str, Any] = {}

    def evaluate_from_start(eval_data: Any, *args: Any, **kwargs: Any) -> Any:
        if eval_data:  # a split may leave a part empty
            place.update(row=0, seen=seen_items(eval_data._dataset))
        return evaluate(eval_data, *args, **kwargs)

    def score_unseen(batch: Any) -> Any:
        interaction, scores, users, items = score(batch)
        rows = slice(place["row"], place["row"] + len(scores))
        place["row"] = rows.stop
        own = scores[users, items]
        row, item = place["seen"](rows)
        scores[row.to(scores.device), item.to(scores.device)] = float("-inf")
        scores[users, items] = own
        return interaction, scores, users, items

    trainer.evaluate, trainer._full_sort_batch_eval = evaluate_from_start, score_unseen
    trainer.restart_rows = lambda eval_data: place.update(row=0, seen=seen_items(eval_data._dataset))


def rank_loader(trainer: Any, loader: Any, top: int = 0) -> Ranking | None:
    """The rank of every target of a full-ranking loader, for any model of RecBole's, by the trainer's own scores.

    Args:
        trainer: RecBole's, or ours.
        loader: of validation or test.
        top: how many of the highest items to keep for each row.

    Returns:
        One rank a row (sequential models) or a user (general models with one target each); None where candidates
        are sampled or a user has several targets.
    """
    from recbole.data.dataloader import FullSortEvalDataLoader

    if not isinstance(loader, FullSortEvalDataLoader):
        return None
    if _ranks_itself(trainer):
        result: Ranking = trainer.rank(loader._dataset, top=top)
        return result
    parts = []
    for scores, items in _scored(trainer, loader):
        if len(items) != len(scores):
            return None
        parts.append(rank_targets(scores.__getitem__, items, len(scores), top=top))
    tops = [part.top for part in parts if part.top is not None]
    return Ranking(torch.cat([part.rank for part in parts]), torch.cat(tops) if tops else None)


@torch.no_grad()
def _scored(trainer: Any, loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores (b, N) of a loader's batches and the targets (b,), what is not to be ranked at minus infinity."""
    if hasattr(trainer, "restart_rows"):
        trainer.restart_rows(loader)
    trainer.model.eval()
    trainer.tot_item_num = loader._dataset.item_num
    if trainer.item_tensor is None:
        trainer.item_tensor = loader._dataset.get_item_feature().to(trainer.device)
    for batch in loader:
        _, scores, _users, items = trainer._full_sort_batch_eval(batch)
        yield scores, items
