"""The rules, searched through for two processes, and what each of their sentences is needed for."""

from __future__ import annotations

import pytest

from tests.model.explore import explore
from tests.model.rules import SENTENCES, Server, Setting
from tests.model.settings import SERVERS, settings

# Where two crashes, lost messages or store failures are looked at, not one.
_TWO_FAULTS = ["revokes on replay - fencing lock, one host", "refuses a replay - fencing lock, hosts"]

# The shortest searches come first.
_ATTEMPTS = [
    Setting(SERVERS["revokes on replay"], faults=1),
    Setting(SERVERS["has a leeway"], faults=1, mints=1),
    Setting(SERVERS["revokes on replay"], faults=2, mints=1),
    Setting(SERVERS["refuses a replay"], faults=1, mints=1, lease=True, slow=True),
]

# Without one of these the model finds nothing wrong: a write that compares (4a-revision) does what the lock
# is asked for, a place that does not follow (4c-place) is not written whoever adopts, and a repeat that comes
# later is a repeat (5-never-sent).
_SPARED = {"4a-lock", "4c-adopt", "5-never-sent"}
# These are backed up by "wait and begin again".
_BACKED_UP = {"6-adopt", "6-owner"}


@pytest.mark.parametrize("name", settings(2, faults=1))
def test_nothing_is_wrong_with_two_processes(name: str) -> None:
    setting = settings(2, faults=1)[name]
    if setting.lease or setting.server.ends_access:
        # With a second generation these take longer than a test should; `make model` has more of everything.
        setting = setting._replace(mints=1)
    result = explore(setting)
    assert not result.trace, str(result)
    assert result.states > 300


@pytest.mark.parametrize("name", _TWO_FAULTS)
def test_nothing_is_wrong_with_two_faults(name: str) -> None:
    result = explore(settings(2, faults=2)[name])
    assert not result.trace, str(result)


@pytest.mark.parametrize("assumes_rotation", [True, False])
def test_a_server_that_does_not_rotate_costs_nobody_a_grant(assumes_rotation: bool) -> None:
    setting = Setting(SERVERS["does not rotate"], faults=2, assumes_rotation=assumes_rotation)
    result = explore(setting)
    assert not result.trace, str(result)


def test_nothing_is_wrong_with_requests_that_arrive_late() -> None:
    for lease in (False, True):
        result = explore(Setting(Server(revokes=False), faults=1, lease=lease, slow=True))
        assert not result.trace, str(result)


@pytest.mark.parametrize("sentence", sorted(SENTENCES.keys() - _SPARED - _BACKED_UP))
def test_the_sentence_is_needed(sentence: str) -> None:
    assert _breaks({sentence}), f"The model does without {sentence}: {SENTENCES[sentence]}"


@pytest.mark.parametrize("sentence", sorted(_BACKED_UP))
def test_the_sentence_is_needed_where_nobody_waits(sentence: str) -> None:
    assert _breaks({sentence, "6-wait"}), f"The model does without {sentence}: {SENTENCES[sentence]}"


@pytest.mark.parametrize("sentence", sorted(_SPARED))
def test_the_sentence_saves_time_and_no_grant(sentence: str) -> None:
    for lease in (False, True):
        result = explore(Setting(Server(), faults=1, lease=lease, without=frozenset({sentence})))
        assert not result.trace, str(result)


def test_a_wrong_step_is_told_with_what_led_to_it() -> None:
    result = explore(Setting(Server(), without=frozenset({"4a-intent"})))
    assert result.wrong == "a refresh token is sent while another's attempt with it is under way"
    assert len(result.trace) > 3
    assert "crashes" in str(result)


def _breaks(without: set[str]) -> bool:
    return any(explore(setting._replace(without=frozenset(without))).trace for setting in _ATTEMPTS)
