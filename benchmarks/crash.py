"""Nothing that was acknowledged is lost: kills, power cuts, damage, disks that refuse or fail, two writers.

    python benchmarks/crash.py [--rounds N] [--seed S] [--kinds KIND ...] [--place DIR] [--json FILE]

Children live on data folders, with operations chosen at random from the seed, until something happens to them; then the
folder is opened as the next start would, and compared with a plain-Python model of what was acknowledged
(`crashes/model.py`), with what the doctor says, and with an index built from nothing.

    shim        whether what loses writes does: a program that forgets to sync must lose some, a careful one none
    kill        SIGKILL at a random time, or at a random change that the process makes to its files
    postgresql  the same with the catalog on a PostgreSQL server, which lives on; or at a random message to it
    cut         the folder as a power cut may leave it: unsynced writes dropped or torn by sectors, unsynced names lost
    damage      a bit flipped, a file cut off, zeroed in a sector, or gone
    full        a disk that has no room for a while, then a power cut
    readonly    a folder that can't be written for a while: the queue waits and goes on by itself; then a power cut
    sync        a sync that fails once, after which what it should have written is lost, then a power cut
    writers     two processes that write into one folder, each killed in turn

What was acknowledged are uploads, deletions, rollbacks, batches, pins, purges, erasures, changes of the embedder,
answers and feedback. No byte of an erased document may be left in any file, and none of its words in what quoted it.
Once a worker has started and has nothing left to do, the doctor must find nothing, and nothing is repaired for it.

Needs a C compiler (`cc`) for `crashes/lossy_fs.c`, and a folder `--place` on a fast disk; best is one in memory. No
model is needed: the embedder is the in-tree fake. `postgresql` needs the extra `dev`. Ends with 1 when anything was
lost. Folders with problems are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crashes import shim
from crashes.careless import shim_rounds
from crashes.cutting import cut_rounds
from crashes.damage import damage_rounds
from crashes.killing import KillRounds, Tally
from crashes.past import warm_up
from crashes.postgresql import postgresql_rounds
from crashes.refusing import refusing_rounds
from crashes.writing import writing_rounds

KINDS: dict[str, Callable[[str, int, Path], Tally]] = {
    "shim": shim_rounds,
    "kill": lambda seed, rounds, place: KillRounds(seed, place).run(rounds),
    "postgresql": postgresql_rounds,
    "cut": cut_rounds,
    "damage": damage_rounds,
    "full": lambda seed, rounds, place: refusing_rounds(seed, rounds, place, "full"),
    "readonly": lambda seed, rounds, place: refusing_rounds(seed, rounds, place, "readonly"),
    "sync": lambda seed, rounds, place: refusing_rounds(seed, rounds, place, "sync"),
    "writers": writing_rounds,
}
_IN_MEMORY = Path("/dev/shm")
_SHOWN = 10


def main() -> None:
    arguments = _parser().parse_args()
    place = arguments.place or Path(tempfile.mkdtemp(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
    place.mkdir(parents=True, exist_ok=True)
    if not shim.is_loaded():
        arguments_again = [sys.argv[0], *sys.argv[1:], "--place", str(place)]
        shim.start_again(place, arguments_again)
    warm_up(place)
    report = {}
    for kind in arguments.kinds:
        folder = place / kind
        folder.mkdir()
        started = time.monotonic()
        tally = KINDS[kind](arguments.seed, arguments.rounds, folder)
        report[kind] = {**tally.as_json(), "seconds": round(time.monotonic() - started, 1)}
        _print(kind, report[kind])
        sys.stdout.flush()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"seed": arguments.seed, "kinds": report}, indent=1))
    if any(found["problems"] for found in report.values()):
        print(f"\nthe folders of these problems are in {place}")
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--place", type=Path, help="an empty folder; default: one in memory")
    parser.add_argument("--json", type=Path)
    return parser


def _print(kind: str, found: dict[str, object]) -> None:
    print(f"\n{kind}: {found['rounds']} rounds in {found['seconds']} s")
    for heading, before in (("counts", ""), ("killed_at", "ended in ")):
        counts = found[heading]
        assert isinstance(counts, dict)
        for name, count in sorted(counts.items()):
            print(f"  {count:>9,}  {before}{name}")
    problems = found["problems"]
    assert isinstance(problems, list)
    print(f"  {len(problems):>9,}  problems")
    for problem in problems[:_SHOWN]:
        print(f"    {problem}")


if __name__ == "__main__":
    main()
