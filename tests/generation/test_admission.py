"""The bounded queue in front of a model."""

from __future__ import annotations

import asyncio
import random

import pytest

from generation.admission import Admission
from generation.errors import QueueFull

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class ManualClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def settle() -> None:
    """Lets every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Callers:
    """Callers that stay until they are told to leave; `order` says who was served, in turn."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.order: list[str] = []
        self.waited_ms: dict[str, float] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._may_leave: dict[str, asyncio.Event] = {}

    async def come(self, *names: str) -> None:
        for name in names:
            self._may_leave[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._stay(name))
        await settle()

    async def leave(self, name: str) -> None:
        self._may_leave[name].set()
        await settle()

    async def cancel(self, name: str) -> None:
        self.tasks[name].cancel()
        await settle()

    async def _stay(self, name: str) -> None:
        async with self._admission.place() as waited_ms:
            self.order.append(name)
            self.waited_ms[name] = waited_ms
            await self._may_leave[name].wait()


async def test_no_more_than_the_slots_are_served_and_the_rest_in_order() -> None:
    admission = Admission(slots=2, queue_size=3)
    callers = Callers(admission)
    await callers.come("a", "b", "c", "d", "e")
    assert callers.order == ["a", "b"]
    assert (admission.serving, admission.waiting) == (2, 3)
    for name in "bacde":
        await callers.leave(name)
    assert callers.order == ["a", "b", "c", "d", "e"]
    assert (admission.serving, admission.waiting, admission.served, admission.refused) == (0, 0, 5, 0)


async def test_who_comes_while_others_wait_does_not_pass_them() -> None:
    admission = Admission(slots=1, queue_size=2)
    callers = Callers(admission)
    await callers.come("a", "b")
    callers._may_leave["a"].set()
    await callers.come("c")  # "a" leaves and "c" comes in the same turn of the loop
    assert callers.order == ["a", "b"]
    await callers.leave("b")
    assert callers.order == ["a", "b", "c"]
    await callers.leave("c")


async def test_a_full_queue_refuses_and_forgets() -> None:
    admission = Admission(slots=1, queue_size=1)
    callers = Callers(admission)
    await callers.come("a", "b")
    with pytest.raises(QueueFull, match="1 questions are being answered and 1 are waiting"):
        async with admission.place():
            raise AssertionError("served beyond the queue")
    assert (admission.serving, admission.waiting, admission.refused) == (1, 1, 1)
    await callers.leave("a")
    await callers.leave("b")


async def test_without_a_queue_nobody_waits() -> None:
    admission = Admission(slots=1, queue_size=0)
    async with admission.place():
        with pytest.raises(QueueFull):
            await admission.place().__aenter__()
    async with admission.place() as waited_ms:
        assert waited_ms >= 0


async def test_waiting_time_is_given_in_milliseconds() -> None:
    clock = ManualClock()
    callers = Callers(Admission(slots=1, queue_size=1, clock=clock))
    await callers.come("a", "b")
    clock.now = 2.5
    await callers.leave("a")
    assert callers.waited_ms == {"a": 0.0, "b": 2500.0}
    await callers.leave("b")


async def test_retry_after_follows_the_median_service_and_the_queue() -> None:
    clock = ManualClock()
    admission = Admission(slots=2, queue_size=4, clock=clock, expected_s=7.0)
    assert admission.retry_after_s() == 4  # nothing known: half of 7 s, for there are two slots
    for seconds in (3.0, 5.0, 100.0):
        async with admission.place():
            clock.now += seconds
    assert admission.retry_after_s() == 3  # 5 s in the middle
    callers = Callers(admission)
    await callers.come(*"abcdef")
    with pytest.raises(QueueFull) as refused:
        await admission.place().__aenter__()
    assert refused.value.retry_after_s == 13  # 5 s * (4 waiting + this one) / 2 slots
    for name in "abcdef":
        await callers.leave(name)


async def test_retry_after_is_at_least_a_second() -> None:
    clock = ManualClock()
    admission = Admission(slots=1, queue_size=0, clock=clock)
    async with admission.place():
        clock.now += 0.01
    assert admission.retry_after_s() == 1


async def test_services_that_break_off_do_not_shorten_the_estimate() -> None:
    clock = ManualClock()
    admission = Admission(slots=1, queue_size=0, clock=clock, expected_s=30.0)
    for _ in range(5):
        with pytest.raises(ConnectionError):
            async with admission.place():
                raise ConnectionError
    assert admission.retry_after_s() == 30
    assert (admission.serving, admission.served) == (0, 0)


async def test_a_waiter_who_leaves_frees_its_place_at_once() -> None:
    admission = Admission(slots=1, queue_size=2)
    callers = Callers(admission)
    await callers.come("a", "b", "c")
    await callers.cancel("b")
    assert admission.waiting == 1
    await callers.come("d")
    await callers.leave("a")
    await callers.leave("c")
    assert callers.order == ["a", "c", "d"]
    await callers.leave("d")
    assert admission.serving == 0


async def test_a_caller_cancelled_while_served_hands_its_place_on() -> None:
    admission = Admission(slots=1, queue_size=1)
    callers = Callers(admission)
    await callers.come("a", "b")
    await callers.cancel("a")
    assert callers.order == ["a", "b"]
    await callers.leave("b")


async def test_a_waiter_cancelled_in_the_moment_of_its_turn_hands_the_place_on() -> None:
    admission = Admission(slots=1, queue_size=2)
    callers = Callers(admission)
    await callers.come("a", "b", "c")
    callers._may_leave["a"].set()
    await asyncio.sleep(0)  # "a" has left and given its place to "b", which has not run since
    assert admission.waiting == 1 and callers.order == ["a"]
    await callers.cancel("b")
    assert callers.order == ["a", "c"]
    await callers.leave("c")
    assert (admission.serving, admission.waiting) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_lost_or_doubled_however_callers_leave(seed: int) -> None:
    chance = random.Random(seed)
    admission = Admission(slots=3, queue_size=1000)
    inside = most_inside = done = 0

    async def call() -> None:
        nonlocal inside, most_inside, done
        async with admission.place():
            inside += 1
            most_inside = max(most_inside, inside)
            try:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                inside -= 1
            done += 1

    tasks = []
    for _ in range(300):
        tasks.append(asyncio.create_task(call()))
        if chance.random() < 0.5:
            chance.choice(tasks).cancel()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=30)
    assert {type(result) for result in results} == {type(None), asyncio.CancelledError}
    assert (admission.serving, admission.waiting, inside) == (0, 0, 0)
    assert admission.served == done == results.count(None)
    assert most_inside == 3


async def test_senseless_sizes_are_refused() -> None:
    for slots, queue_size in ((0, 1), (1, -1)):
        with pytest.raises(ValueError, match="at least"):
            Admission(slots, queue_size)
