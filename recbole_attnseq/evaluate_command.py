"""``attnseq evaluate``: what a stored model scores on the validation and test parts of its data set."""

from __future__ import annotations

import argparse

from recbole_attnseq.run_command import print_scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, and what it has to be."""
    parser.add_argument("checkpoint", help="a file under saved/ that 'attnseq run' named; load only what you trust")
    parser.add_argument("--model", default=None, help="refuse a checkpoint of any other model")


def run(args: argparse.Namespace) -> None:
    """Load data and model as they were, and print both results."""
    from recbole.utils import get_trainer

    from recbole_attnseq.training.runs import load_run

    config, model, _, train, valid, test = load_run(args.checkpoint, args.model)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.eval_collector.data_collect(train)
    for title, data in (("valid", valid), ("test", test)):
        print_scores(title, trainer.evaluate(data, load_best_model=False))
    print(f"split hash: {config['split_hash']}")
