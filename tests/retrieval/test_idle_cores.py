from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from retrieval.idle_cores import IdleCores


def test_threads_do_not_multiply_with_callers() -> None:
    cores = IdleCores(2, worth=1)
    working, most = 0, 0
    lock = threading.Lock()
    everyone = threading.Barrier(6)  # four callers and the two threads beside them

    def work(share: Sequence[int]) -> int:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        everyone.wait(timeout=30)
        with lock:
            working -= 1
        return sum(share)

    with ThreadPoolExecutor(4) as callers:
        sums = list(callers.map(lambda _: cores.deal(work, range(100), 100), range(4)))
    assert most == 6
    assert [sum(its) for its in sums] == [sum(range(100))] * 4
    assert sum(len(its) for its in sums) == 6


def test_an_error_in_a_thread_reaches_the_caller_and_frees_it() -> None:
    cores = IdleCores(1, worth=1)

    def work(share: Sequence[int]) -> int:
        return 1 // min(share)

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            cores.deal(work, [1, 0], 2)
    assert cores.deal(work, [1, 1], 2) == [1, 1]


def test_a_forked_process_has_threads_of_its_own() -> None:
    cores = IdleCores(1, worth=1)
    assert cores.deal(len, [1, 2], 2) == [1, 1]
    child = os.fork()
    if child == 0:
        os._exit(0 if cores.deal(len, [1, 2], 2) == [1, 1] else 1)
    assert os.waitpid(child, 0)[1] == 0
