"""When a token is too old to be used, and when somebody should renew it early.

Both windows scale with the lifetime. Most libraries renew a fixed time ahead, which for a token of five
minutes means at once and for ever.
"""

from __future__ import annotations

import random

# Nobody uses a token that is this close to its end.
_MANDATORY_SECONDS = 60.0
_MANDATORY_SHARE = 0.25
# One caller renews a token that is this close to its end, the others go on with the old one.
_ADVISORY_SECONDS = 300.0
_ADVISORY_SHARE = 0.5
# How far processes that got their token at the same moment spread their renewals.
_JITTER_SHARE = 0.2


def mandatory(lifetime: float) -> float:
    """Give the seconds before the end in which a token is used no more."""
    return min(_MANDATORY_SECONDS, lifetime * _MANDATORY_SHARE)


def advisory(lifetime: float, jitter: float) -> float:
    """Give the seconds before the end in which a token is renewed early.

    :param jitter: between 0 and 1, fixed for a process
    """
    return min(_ADVISORY_SECONDS, lifetime * _ADVISORY_SHARE) * (1 - _JITTER_SHARE * jitter)


def draw_jitter() -> float:
    """Draw a process's jitter."""
    return random.random()  # noqa: S311 - spreads load, protects nothing
