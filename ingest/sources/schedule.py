"""When a source is looked at again: `15m`, `2h`, `1d`, or a cron expression in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

_EVERY = re.compile(r"(\d{1,6})\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LEAST_S = 5


def _checked(schedule: str) -> str:
    next_time(schedule, datetime.now(UTC))
    return schedule


Schedule = Annotated[str, AfterValidator(_checked)]


def next_time(schedule: str, after: datetime) -> datetime:
    """The first time after `after`. Raises ValueError for what is no schedule."""
    every = _EVERY.fullmatch(schedule.strip())
    if every is not None:
        seconds = int(every[1]) * _SECONDS[every[2]]
        if seconds < _LEAST_S:
            raise ValueError(f"{schedule!r} is too often: at most every {_LEAST_S} s")
        return after + timedelta(seconds=seconds)
    try:
        return next(CronSim(schedule.strip(), after.astimezone(UTC)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(
            f"{schedule!r} is no schedule: write 30s, 15m, 2h or 1d, or a cron expression such as `0 3 * * *` (UTC)"
        ) from error
