"""How long ago a stored wall-clock moment was, by a clock that may have been set meanwhile.

Limits are kept in wall time so that they survive a restart. A clock that is set back would leave
their moments in the future, and a limit that waits for them could last for ever.
"""

from __future__ import annotations

import math


def age(moment: float, now: float, span: float) -> float:
    """Seconds since ``moment``, never negative.

    A moment in the future counts as now. One further ahead than ``span``, which no limit of that
    length can have written, counts as long past.
    """
    if moment - now > span:
        return math.inf
    return max(now - moment, 0.0)
