"""How a command is interrupted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from recbole_attnseq.training.processes import interruptible, uninterrupted

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def come(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def _handlers_come_back() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@BOTH
def test_an_interrupt_is_raised_where_it_comes(number: signal.Signals) -> None:
    reached = []

    def work() -> None:
        with interruptible():
            come(number)
            reached.append("behind")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == []


@BOTH
def test_it_waits_for_the_end_of_what_is_not_to_be_interrupted(number: signal.Signals) -> None:
    reached = []

    def work() -> None:
        with interruptible():
            with uninterrupted():
                with uninterrupted():
                    come(number)
                    reached.append("inner")
                reached.append("outer")
            reached.append("behind")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["inner", "outer"]
    with uninterrupted():  # it is not raised again
        pass


def test_it_outranks_the_error_of_what_it_waited_for() -> None:
    def work() -> None:
        with interruptible(), uninterrupted():
            come(signal.SIGTERM)
            raise ValueError("the storage is away")

    with pytest.raises(KeyboardInterrupt) as raised:
        work()
    assert isinstance(raised.value.__context__, ValueError)


def test_a_second_one_does_not_wait() -> None:
    reached = []

    def work() -> None:
        with interruptible(), uninterrupted():
            come(signal.SIGINT)
            reached.append("first")
            come(signal.SIGINT)
            reached.append("second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["first"]
    with interruptible(), uninterrupted():
        pass


def test_another_thread_is_not_asked_and_changes_nothing() -> None:
    done = []

    def work() -> None:
        with interruptible(), uninterrupted():
            done.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]


def test_somebody_elses_handler_of_ctrl_c_stays() -> None:
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with interruptible():
            come(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
