"""Intents: what is known of a refresh that may be under way.

A server that rotates refresh tokens takes the second use of one for theft. So nobody sends one without having
said so where all others look first, and nobody acts on what another has said before the other must have come
to an end. All of it is judged here, from a record and the time alone.
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.entry import Intent, Record, Unanswered
from airflow_provider_finauth.exceptions import FinauthError, TokenEndpointError

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 300.0


@dataclass(frozen=True)
class Later:
    """Nothing can be done now.

    :param seconds: after them it is worth looking again
    :param error: for a caller that cannot wait so long
    """

    seconds: float
    error: FinauthError


def new_intent(sent: str, *, now: float, seconds: float) -> Intent:
    """Say that a refresh token is about to be sent.

    :param sent: its hash
    :param now: by the store's clock
    :param seconds: how long the request may take
    """
    return Intent(
        owner=f"{_machine()}/{os.getpid()}/{_began(os.getpid())}",
        attempt=uuid.uuid4().hex,
        sent=sent,
        begun=now,
        deadline=now + seconds,
    )


@dataclass(frozen=True)
class Watch:
    """How a process knows the age of another's intent.

    :param seen_for: the seconds for which this process has seen it, by the monotonic clock
    :param one_clock: whether its times are by a clock that all share
    """

    seen_for: float
    one_clock: bool


def settled(record: Record, *, now: float, never_sent: str | None, watch: Watch) -> Record | float:
    """Judge the intent that stands in a record.

    :param now: by the store's clock
    :param never_sent: the attempt of an intent of our own that was written and certainly not followed by a
        request
    :return: the record without the intent; or the seconds until its owner must have come to an end
    """
    intent = record.intent
    if intent is None:
        return record
    if intent.attempt == never_sent:
        return replace(record, intent=None)
    # A clock that was set back must not make anybody wait longer than a request takes, and another machine's
    # clock says nothing: there only what was watched here counts.
    left = intent.deadline - intent.begun - watch.seen_for
    if watch.one_clock or intent.owner.startswith(f"{_machine()}/"):
        left = min(left, intent.deadline - now)
    if left > 0:
        return left
    # Its owner is dead, stopped or cut off: the refresh token may have been spent.
    return replace(
        record,
        intent=None,
        unanswered=_more(record.unanswered, intent.sent, since=intent.begun, retry_at=0.0),
    )


def after_no_answer(record: Record, intent: Intent, *, now: float, leeway: float) -> Unanswered:
    """Tell that a refresh may have reached the server and brought no answer of its own.

    It is not repeated before its deadline: a proxy may still hold it, and deliver it after the repetition.
    Where the server takes a refresh token once more within a leeway, that does no harm.

    :param now: by the store's clock
    """
    more = _more(record.unanswered, intent.sent, since=intent.begun, retry_at=0.0)
    pause = min(_FIRST_PAUSE * 2.0 ** min(more.count - 1, 20), _LONGEST_PAUSE)
    left = leeway_left(replace(record, unanswered=more), intent.sent, now=now, leeway=leeway)
    if left > 0 and more.count == 1:
        return replace(more, retry_at=now)
    if left > pause:
        return replace(more, retry_at=now + pause)
    return replace(more, retry_at=max(now + pause, intent.deadline))


def leeway_left(record: Record, sent: str, *, now: float, leeway: float) -> float:
    """Give the seconds for which the server still takes an unanswered refresh token once more.

    :param sent: the refresh token's hash
    :param now: by the store's clock
    """
    unanswered = record.unanswered
    if unanswered is None or unanswered.sent != sent or now < unanswered.since:
        return 0.0
    return max(0.0, unanswered.since + leeway - now)


def wait_to_repeat(record: Record, sent: str, *, now: float, leeway: float, usable: bool) -> float:
    """Give the seconds before a refresh token may be sent, 0 if it may be sent now.

    One that got no answer rests while the old access token does its work: perhaps the server never saw it,
    and every day without a replay is a day with the authorisation.

    :param sent: the refresh token's hash
    :param now: by the store's clock
    :param usable: whether the standing access token is accepted
    :return: infinity where nothing is to be done before the access token's end
    """
    unanswered = record.unanswered
    if unanswered is None or unanswered.sent != sent:
        return 0.0
    if usable and leeway_left(record, sent, now=now, leeway=leeway) <= 0:
        return float("inf")
    left = unanswered.retry_at - now
    # Further ahead than any pause reaches means that the clock was set back.
    return left if 0 < left <= _LONGEST_PAUSE else 0.0


def under_way(credentials: Credentials) -> TokenEndpointError:
    """Make the error for a caller who cannot wait for another's refresh."""
    return TokenEndpointError(
        f"Connection {credentials.conn_id!r}: another task is refreshing its token, or was stopped while it "
        "did, so that nobody knows yet whether the refresh token is spent. Try again in a minute."
    )


def resting(credentials: Credentials) -> TokenEndpointError:
    """Make the error for a caller who cannot wait for the repetition of an unanswered refresh."""
    return TokenEndpointError(
        f"Connection {credentials.conn_id!r}: the last request for a new token got no answer from "
        f"{credentials.token_origin}; it is repeated with pauses. Try again in some minutes."
    )


def _more(known: Unanswered | None, sent: str, *, since: float, retry_at: float) -> Unanswered:
    if known is None or known.sent != sent:
        return Unanswered(sent=sent, count=1, since=since, retry_at=retry_at)
    return replace(known, count=known.count + 1, retry_at=retry_at)


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = "unknown"
    return f"{socket.gethostname()}/{boot}"


@cache
def _began(process: int) -> str:
    """Give a process's start, which tells it from an older one with the same number."""
    try:
        # The second field, the program's name, may hold blanks and parentheses.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "unknown"
