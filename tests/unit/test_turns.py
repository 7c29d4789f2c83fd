"""Whoever asked first gets the lock first."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.turns import Turns


def test_one_thread_at_a_time() -> None:
    turns, inside, most = Turns(), 0, 0

    def work(_: int) -> None:
        nonlocal inside, most
        with turns:
            inside += 1
            most = max(most, inside)
            time.sleep(0.0001)
            inside -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    assert most == 1


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order = Turns(), list[int]()

    def ask(number: int) -> None:
        with turns:
            order.append(number)

    with turns:
        askers = []
        for number in range(5):
            asker = threading.Thread(target=ask, args=[number])
            asker.start()
            askers.append(asker)
            while len(turns._waiting) <= number:
                time.sleep(0.001)
    for asker in askers:
        asker.join()
    assert order == [0, 1, 2, 3, 4]


def test_an_exception_passes_the_turn_on() -> None:
    turns = Turns()
    with pytest.raises(LookupError), turns:
        raise LookupError
    with turns:
        pass
