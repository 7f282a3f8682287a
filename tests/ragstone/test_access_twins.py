"""A key for some collections is told what a system without the others would say: random checks, see the benchmark."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.access_twins import run, worlds

CHECKS = 500


def test_replies_are_those_of_a_system_that_never_held_what_the_caller_may_not_read(tmp_path: Path) -> None:
    with worlds(tmp_path, seed=20261122) as world:
        checks = list(run(world, CHECKS, changes=36))
    different = [check for check in checks if not check.same]
    assert not different, f"{len(different)} leaks, such as {different[0]}"
    # The checks have seen something: replies of every sort, over many revisions.
    seen = Counter(check.world[:3] for check in checks)
    assert {"200", "204", "403", "404", "409", "422"} <= set(seen)
    assert seen["200"] > CHECKS / 5
    assert len(world.moments) == 36
