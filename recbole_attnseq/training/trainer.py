"""AttnSeq's trainer: RecBole's loop around epochs, ours within them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.evaluator.register import metric_information
from recbole.trainer import Trainer
from recbole.utils import set_color
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from recbole_attnseq.data.batches import Batch, SequenceBatches
from recbole_attnseq.data.dataset import sequence_store
from recbole_attnseq.errors import UserError
from recbole_attnseq.flat import ranges
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.training.averaging import WeightAverage
from recbole_attnseq.training.batching import cut
from recbole_attnseq.training.checkpoints import read_checkpoint
from recbole_attnseq.training.optimizer import DenseAndSparse, fused
from recbole_attnseq.training.precision import choose, matmul_precision
from recbole_attnseq.training.ranking import (
    Ranking,
    answers,
    cut_by_tokens,
    encode_ahead,
    rank_targets,
    rows_per_block,
    seen_items,
)


class AttnSeqTrainer(Trainer):  # type: ignore[misc]
    """Trains every position of a sequence in one pass; early stopping, checkpoints and logs are RecBole's."""

    def __init__(self, config: Any, model: Any) -> None:
        super().__init__(config, model)
        self.precision = choose(config["precision"], self.device)
        model.network.low_precision = self.precision.logits
        precision = str(self.precision.logits).removeprefix("torch.")
        # For a run's record: what auto came to, and the counts that it followed.
        self.notes = {"resolved": {**model.resolved, "precision": precision}, "counts": model.counts}
        self._batches: tuple[Any, SequenceBatches] | None = None  # the data set that they are of, and they
        self.average: WeightAverage | None = None  # begins with the first epoch: whoever only evaluates needs none

    def _sparse_tables(self) -> list[Tensor]:
        return [m.weight for m in self.model.modules() if isinstance(m, torch.nn.Embedding) and m.sparse]

    def _build_average(self) -> WeightAverage | None:
        decay = self.config["weight_average"]
        return WeightAverage(self.model.parameters(), decay, self._sparse_tables()) if decay else None

    def resume_checkpoint(self, resume_file: str) -> None:
        """RecBole's ``resume_checkpoint``; what was saved is the average, so training goes on from there."""
        super().resume_checkpoint(resume_file)
        self.average = None

    def get_extra_state(self) -> dict[str, Any] | None:
        """What one epoch leaves to the next beside weights and optimizer: the average (see ``Snapshot``)."""
        return self.average.state_dict() if self.average else None

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`get_extra_state` gave, after the weights."""
        self.average = self._build_average()
        if self.average:
            self.average.load_state_dict(state)

    def _build_optimizer(self, **kwargs: Any) -> Any:
        tables = self._sparse_tables()
        if not tables:
            return fused(super()._build_optimizer(**kwargs))
        if self.learner.lower() != "adam":
            raise UserError(f"learner is {self.learner}, but sparse_updates needs adam; set one of the two otherwise.")
        others = {
            "clip_grad_norm": self.clip_grad_norm,
            "weight_decay": self.weight_decay,
            "several processes": not self.config["single_spec"],
        }
        for other, given in others.items():
            if given:
                raise UserError(f"sparse_updates does not work with {other}; set it to auto or False.")
        dense: list[torch.nn.Parameter] = [
            p for p in self.model.parameters() if all(p is not table for table in tables)
        ]
        return DenseAndSparse(dense, tables, self.learning_rate)

    def batches(self, train_data: Any) -> SequenceBatches:
        """How an epoch over ``train_data`` is cut (see :func:`~recbole_attnseq.training.batching.cut`)."""
        dataset = train_data._dataset
        if self._batches is None or self._batches[0] is not dataset:
            self._batches = dataset, cut(self.config, self.model.network, sequence_store(dataset))
        return self._batches[1]

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> float:
        if loss_func is not None:
            return float(super()._train_epoch(train_data, epoch_idx, loss_func, show_progress))
        self.model.train()
        if self.average is None:
            self.average = self._build_average()
        else:
            self.average.hide()
        batches = self.batches(train_data)
        rank, world = (dist.get_rank(), dist.get_world_size()) if not self.config["single_spec"] else (0, 1)
        total = torch.zeros((), device=self.device)
        steps: Iterable[Batch | None] = batches.epoch(epoch_idx, rank, world)
        if show_progress:
            label = set_color(f"Train {epoch_idx:>5}", "pink")
            steps = tqdm(steps, total=batches.steps(epoch_idx), ncols=100, desc=label)
        with matmul_precision(self.precision.matmul):
            for batch in steps:
                total += self._step(batch, world)
        if self.average:
            self.average.show()  # what follows validates, saves and tests
        loss = float(total)
        self._check_nan(torch.tensor(loss))
        return loss

    def _step(self, batch: Batch | None, world: int) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.device)
        if batch is not None:
            batch = batch.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision.autocast or self.enable_amp):
                packing = Packing(batch.lengths, self.model.max_seq_length, batch.gaps)
                loss = self.model.network.loss(batch.items, packing, batch.queries, batch.targets, batch.moments)
            loss.backward()
        if world > 1:
            loss = self._combine(loss.detach(), 0 if batch is None else len(batch.targets))
        if self.clip_grad_norm:
            for network in self.model.network.networks:
                clip_grad_norm_(network.parameters(), **self.clip_grad_norm)
        if self.average:
            self.average.before_step()
        self.optimizer.step()
        if self.average:
            self.average.after_step()
        return loss.detach()

    def _combine(self, loss: Tensor, targets: int) -> Tensor:
        """Average gradients and loss over processes by their numbers of targets: those of the whole batch."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([part.reshape(-1) for part in parts] + [loss.reshape(1), loss.new_ones(1)])
        flat *= targets
        dist.all_reduce(flat)
        flat /= flat[-1].clone()
        offset = 0
        for parameter in parameters:
            parameter.grad = flat[offset : offset + parameter.numel()].view_as(parameter)
            offset += parameter.numel()
        mean: Tensor = flat[-2]
        return mean

    @torch.no_grad()
    def evaluate(
        self, eval_data: Any, load_best_model: bool = True, model_file: str | None = None, show_progress: bool = False
    ) -> Any:
        """RecBole's ``evaluate``; full ranking takes our blocks, sampled candidates take RecBole's own way."""
        metrics = self.config["metrics"]
        if not eval_data or not isinstance(eval_data, FullSortEvalDataLoader) or not answers(metrics):
            return super().evaluate(eval_data, load_best_model, model_file, show_progress)
        if load_best_model:
            self._load(model_file or self.saved_model_file)
        largest = max(self.config["topk"])
        shown = any("rec.items" in metric_information[metric.lower()] for metric in metrics)
        ranking = self.rank(eval_data._dataset, top=largest if shown else 0)
        struct = ranking.as_struct(largest)
        for key, value in self.eval_collector.data_struct._data_dict.items():
            struct.set(key, value)
        result = self.evaluator.evaluate(struct)
        self.wandblogger.log_eval_metrics(result, head="eval")
        return result

    def _load(self, file: str) -> None:
        if not self.config["single_spec"]:
            dist.barrier()  # the first process may still be writing
        checkpoint = read_checkpoint(file)
        self.model.load_state_dict(checkpoint["state_dict"])
        self.model.load_other_parameter(checkpoint.get("other_parameter"))
        self.logger.info(f"Loading model structure and parameters from {file}")

    @torch.no_grad()
    def rank(self, dataset: Any, top: int = 0) -> Ranking:
        """The rank of every target of one part of the split (see :func:`rank_targets`)."""
        self.model.eval()
        store = sequence_store(dataset)
        network, device = self.model.network, self.device
        with matmul_precision(self.precision.ranking):
            vectors = network.vectors()

            def histories(rows: slice) -> tuple[Tensor, Packing]:
                length = store.length[rows]
                tokens = ranges(store.target[rows] - length, length)
                gaps = None if store.gaps is None else store.gaps[tokens].to(device)
                return store.items[tokens].to(device), Packing(length.to(device), self.model.max_seq_length, gaps)

            # Encoding takes memory by tokens of history, ranking by items.
            tokens = network.budget // network.user_encoder.widest
            block = rows_per_block(len(vectors), network.budget, device)

            def last_states(rows: slice) -> Tensor:
                parts = cut_by_tokens(store.length[rows], tokens, padded=not network.user_encoder.banded)
                pieces = (slice(rows.start + part.start, rows.start + part.stop) for part in parts)
                return torch.cat([network.last_states(*histories(part)) for part in pieces])

            taste: Callable[[slice], Tensor]
            if network.attention.uses_history:
                block = max(1, min(block, tokens // int(store.length.max())))
                taste = lambda rows: network.taste(*histories(rows), vectors)  # noqa: E731
            else:
                many = rows_per_block(len(vectors), network.budget)
                states = encode_ahead(last_states, len(store.target), many)
                taste = lambda rows: states(rows) @ vectors.T  # noqa: E731

            def timely(rows: slice) -> Tensor:
                assert store.moment is not None  # the model would not have been made without
                recent: Tensor = network.recent(store.moment[rows].to(device))
                return recent.add_(taste(rows))

            return rank_targets(
                timely if self.model.timely else taste,
                store.items[store.target],
                block,
                seen=seen_items(dataset) if self.config["exclude_history"] else None,
                top=top,
            )
