"""``attnseq evaluate``: what a stored model scores on the validation and test parts of its data set."""

from __future__ import annotations

import argparse
import os
import tempfile
from typing import Any

from recbole_attnseq.run_command import print_scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, and what it has to be."""
    parser.add_argument("checkpoint", help="a file under saved/ that 'attnseq run' named; load only what you trust")
    parser.add_argument("--model", default=None, help="refuse a checkpoint of any other model")
    parser.add_argument(
        "--data_path",
        default=None,
        metavar="DIR",
        help="the folder that holds the data set's folder, if that has moved",
    )
    parser.add_argument(
        "--extensions",
        action="append",
        metavar="FILE",
        help="your own parts that the model was trained with, if they lie elsewhere by now; once for each file",
    )


def run(args: argparse.Namespace) -> None:
    """Load data and model as they were, and print both results."""
    from recbole_attnseq.compat import discard_log
    from recbole_attnseq.training.runs import load_run

    config, model, _, train, valid, test = load_run(args.checkpoint, args.model, args.extensions, args.data_path)
    discard_log()  # of a training, which this is not
    trainer = _trainer(config, model)
    trainer.eval_collector.data_collect(train)
    for title, data in (("valid", valid), ("test", test)):
        print_scores(title, trainer.evaluate(data, load_best_model=False))
    print(f"split hash: {config['split_hash']}")


def _trainer(config: Any, model: Any) -> Any:
    """RecBole's trainer, whose folders for checkpoints and curves come and go: nothing is trained."""
    from recbole.utils import get_trainer

    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        config["checkpoint_dir"] = folder
        os.chdir(folder)
        try:
            trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
            trainer.tensorboard.close()
        finally:
            os.chdir(here)
    return trainer
