"""Rules 4, 5 and 6, sentence by sentence, on the real broker: without the sentence its test fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_provider_finauth.exceptions import FinauthError, ReauthorizationRequiredError, TokenEndpointError
from airflow_provider_finauth.secret import Secret
from tests.model.driver import LEEWAY, World
from tests.model.rules import Server

MakeWorld = Callable[..., World]
DEADLINE = 60.0


def expired(world: World) -> World:
    world.expire()
    return world


def due(world: World) -> World:
    """Let the standing access token be due, and still good for some minutes."""
    world.clock.advance(3600.0 - 200.0)
    return world


def test_4a_an_intent_is_written_before_asking(make_world: MakeWorld) -> None:
    world = expired(make_world())
    world.process().begin().until("send")
    record = world.record()
    assert record is not None
    assert record.intent is not None
    assert record.intent.deadline == record.intent.begun + DEADLINE
    assert world.sent == []


def test_4a_the_intent_follows_the_revision_that_was_read(make_world: MakeWorld) -> None:
    world = expired(make_world())
    call = world.process().begin().until("lock").until("read")
    call.step()
    world.consent()
    assert call.finish().access_token.reveal() == "access-1-0"
    assert world.sent == []
    assert world.standing() == (1, 1, 0, False, False)


def test_4a_the_intent_needs_the_lock(make_world: MakeWorld) -> None:
    world = expired(make_world(lease=True))
    first = world.process().begin().until("claim")
    world.end_lease()
    second = world.process().begin().until("claim")
    first.until("sleep")
    assert world.record().intent is None  # type: ignore[union-attr]
    assert second.finish().access_token.reveal() == "access-0-1"
    assert first.finish().access_token.reveal() == "access-0-1"
    assert world.sent == ["refresh-0-0"]


def test_4b_the_owner_sends_nothing_after_its_deadline(make_world: MakeWorld) -> None:
    world = expired(make_world(lease=True))
    first = world.process().begin().until("send")
    world.clock.advance(DEADLINE + 1)
    world.end_lease()
    second = world.process().begin().until("answer")
    first.step()
    assert world.sent == ["refresh-0-0"]
    assert second.finish().access_token.reveal() == "access-0-1"
    assert world.wrong == []


def test_4c_an_answer_is_written_before_it_is_used(make_world: MakeWorld) -> None:
    world = expired(make_world())
    call = world.process().begin().until("answer")
    assert call.step() == "write"
    assert not call.done
    call.step()
    assert world.standing() == (0, 2, 1, False, False)


def test_4c_an_answer_follows_its_lineage_only(make_world: MakeWorld) -> None:
    world = expired(make_world(Server(revokes=False)))
    call = world.process().begin().until("write")
    world.consent()
    # What is found is adopted.
    assert call.finish().access_token.reveal() == "access-1-0"
    assert world.standing() == (1, 1, 0, False, False)


def test_4c_an_answer_follows_its_generation_only(make_world: MakeWorld) -> None:
    world = expired(make_world(Server(leeway=True), lease=True))
    first = world.process().begin().until("write")
    world.clock.advance(DEADLINE + 1)
    world.end_lease()
    second = world.process()
    assert second.token() == "access-0-2"
    assert first.finish().access_token.reveal() == "access-0-2"
    assert world.standing() == (0, 2, 2, False, False)
    assert world.wrong == []


def test_4c_an_answer_is_written_whatever_intent_stands_there(make_world: MakeWorld) -> None:
    world = expired(make_world(lease=True))
    first = world.process().begin().until("write")
    world.clock.advance(DEADLINE + 1)
    world.end_lease()
    second = world.process().begin().until("send")
    assert first.finish().access_token.reveal() == "access-0-1"
    assert world.standing() == (0, 2, 1, False, False)
    second.process.kill()
    assert world.process().token() == "access-0-1"


def test_4d_nobody_acts_on_anothers_intent_before_its_deadline(make_world: MakeWorld) -> None:
    world = expired(make_world())
    dead = world.process()
    dead.begin().until("send")
    dead.kill()
    began = world.clock.wall()
    assert world.process().begin().until("send")
    assert world.clock.wall() >= began + DEADLINE


def test_4e_what_could_not_be_written_is_used_and_its_write_repeated(make_world: MakeWorld) -> None:
    world = expired(make_world())
    process = world.process()
    call = process.begin().until("write")
    world.store_is_down = True
    assert call.finish().access_token.reveal() == "access-0-1"
    assert process.token() == "access-0-1"
    world.store_is_down = False
    (attempt,) = process.repeats
    assert process.begin(attempt).finish() is True
    assert world.standing() == (0, 2, 1, False, False)


def test_4e_what_could_not_be_written_is_left_for_the_next_on_the_host(make_world: MakeWorld) -> None:
    world = expired(make_world())
    process = world.process()
    call = process.begin().until("write")
    world.store_is_down = True
    call.finish()
    process.kill()
    world.store_is_down = False
    assert world.process().token() == "access-0-1"
    assert world.sent == ["refresh-0-0"]
    assert world.standing() == (0, 2, 1, False, False)


def test_4e_a_process_that_knows_a_newer_generation_writes_it_back(make_world: MakeWorld) -> None:
    world = expired(make_world())
    process = world.process()
    old = world.backend.read(world.key)
    process.token()
    # The store is set back, as from a backup.
    assert old is not None
    standing = world.backend.read(world.key)
    assert standing is not None
    world.backend.write(world.key, old.payload, follows=standing.revision)
    world.expire()
    assert process.token() == "access-0-2"
    assert world.sent == ["refresh-0-0", "refresh-0-1"]


def test_4f_a_loser_never_deletes(make_world: MakeWorld) -> None:
    world = expired(make_world())
    call = world.process().begin().until("send")
    world.consent()
    assert call.finish().access_token.reveal() == "access-1-0"
    assert world.standing() == (1, 1, 0, False, False)


def test_4f_dropping_an_access_token_leaves_the_refresh_token(make_world: MakeWorld) -> None:
    world = make_world()
    process = world.process()
    assert process.token() == "access-0-0"
    world.clock.advance(61)
    process.lose = "request"
    call = process.begin(lambda: process.broker.replace(process.credentials, Secret("access-0-0")))
    call.until("sleep")
    record = world.record()
    assert record is not None
    assert record.tokens.access_token is None
    assert world.standing() == (0, 1, 0, True, False)
    assert call.finish().access_token.reveal() == "access-0-1"


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_5_without_an_answer_a_refresh_is_unanswered_not_refused(make_world: MakeWorld, lost: str) -> None:
    world = expired(make_world())
    process = world.process()
    process.lose = lost
    call = process.begin().until("sleep")
    assert world.standing() == (0, 1, 0, True, False)
    if lost == "request":
        assert call.finish().access_token.reveal() == "access-0-1"
    else:
        # Only the server's own refusal ends it.
        with pytest.raises(ReauthorizationRequiredError):
            call.finish()


def test_5_a_dead_owners_refresh_is_unanswered(make_world: MakeWorld) -> None:
    world = due(make_world())
    dead = world.process()
    dead.token()
    dead.begin().until("answer")
    dead.kill()
    world.clock.advance(DEADLINE + 1)
    other = world.process()
    assert other.token() == "access-0-0"
    assert other.token() == "access-0-0"
    assert world.sent == ["refresh-0-0"]


@pytest.mark.parametrize("usable", [True, False])
def test_5_within_the_leeway_it_is_repeated_at_once(make_world: MakeWorld, usable: bool) -> None:
    world = make_world(Server(leeway=True))
    process = world.process()
    process.token()
    (due if usable else expired)(world)
    began = world.clock.wall()
    process.lose = "answer"
    assert process.token() == "access-0-2"
    assert world.clock.wall() < began + LEEWAY
    assert world.sent == ["refresh-0-0", "refresh-0-0"]


def test_5_a_repeat_within_the_leeway_gives_up_with_it(make_world: MakeWorld) -> None:
    world = make_world(Server(leeway=True))
    process = world.process(refresh_leeway=DEADLINE / 2)
    process.token()
    due(world)
    process.lose = "answer"
    call = process.begin().until("answer")
    call.step()
    call.until("send")
    world.clock.advance(DEADLINE / 2 + 1)
    assert call.finish().access_token.reveal() == "access-0-0"
    assert world.sent == ["refresh-0-0"]


def test_5_it_rests_while_the_old_access_token_is_accepted(make_world: MakeWorld) -> None:
    world = make_world()
    process = world.process()
    process.token()
    due(world)
    process.lose = "answer"
    assert process.token() == "access-0-0"
    world.clock.advance(100)
    assert process.token() == "access-0-0"
    assert world.process().token() == "access-0-0"
    assert world.sent == ["refresh-0-0"]


def test_5_then_it_is_repeated_as_often_as_needed(make_world: MakeWorld) -> None:
    world = expired(make_world())
    for _ in range(12):
        process = world.process()
        call = process.begin()
        while not call.done:
            process.lose = "request"
            call.step()
        assert isinstance(call.error, TokenEndpointError)
        world.clock.advance(301)
    assert set(world.sent) == {"lost"}
    assert world.process().token() == "access-0-1"


def test_5_what_was_never_sent_is_repeated_at_once(make_world: MakeWorld) -> None:
    world = expired(make_world())
    process = world.process()
    call = process.begin().until("send")
    world.clock.advance(DEADLINE + 1)
    with pytest.raises(FinauthError):
        call.finish()
    assert world.sent == []
    assert world.standing() == (0, 1, 0, False, False)
    began = world.clock.wall()
    assert world.process().token() == "access-0-1"
    assert world.clock.wall() == began


def test_5_what_was_turned_away_for_a_while_is_not_unanswered(make_world: MakeWorld) -> None:
    world = make_world()
    process = world.process()
    process.token()
    due(world)
    process.turned_away = True
    assert process.token() == "access-0-0"
    assert world.standing() == (0, 1, 0, False, False)
    expired(world)
    assert world.process().token() == "access-0-1"


def test_6_a_refused_process_adopts_a_newer_generation(make_world: MakeWorld) -> None:
    world = expired(make_world(Server(revokes=False), lease=True))
    first = world.process().begin().until("send")
    world.end_lease()
    record = world.record()
    assert record is not None
    _forget_intent(world)
    assert world.process().token() == "access-0-1"
    began = world.clock.wall()
    assert first.finish().access_token.reveal() == "access-0-1"
    assert world.clock.wall() == began
    assert not [key for key in world.backend.list() if key.startswith("refused-")]


@pytest.mark.parametrize("gone", ["intent", "lock"])
def test_6_where_the_intent_or_the_lock_is_gone_nothing_is_recorded(make_world: MakeWorld, gone: str) -> None:
    world = expired(make_world(Server(revokes=False), lease=True))
    world.families[0]["honoured"] = {1}
    call = world.process().begin().until("answer")
    if gone == "intent":
        _forget_intent(world)
    else:
        world.end_lease()
    call.until("sleep")
    assert not [key for key in world.backend.list() if key.startswith("refused-")]
    call.process.kill()


def test_6_who_is_refused_waits_for_the_owner_of_the_standing_intent(make_world: MakeWorld) -> None:
    world = expired(make_world(Server(revokes=False), lease=True))
    first = world.process().begin().until("send")
    world.end_lease()
    _forget_intent(world)
    second = world.process().begin().until("answer")
    first.until("sleep")
    assert second.finish().access_token.reveal() == "access-0-1"
    assert first.finish().access_token.reveal() == "access-0-1"
    assert not [key for key in world.backend.list() if key.startswith("refused-")]


def test_6_a_refused_process_adopts_what_is_left_on_its_host(make_world: MakeWorld) -> None:
    world = expired(make_world(Server(revokes=False), lease=True))
    first = world.process().begin().until("write")
    world.clock.advance(DEADLINE + 1)
    world.end_lease()
    second = world.process().begin().until("send")
    world.store_is_down = True
    assert first.finish().access_token.reveal() == "access-0-1"
    first.process.kill()
    world.store_is_down = False
    assert second.finish().access_token.reveal() == "access-0-1"
    assert not [key for key in world.backend.list() if key.startswith("refused-")]


def test_6_the_owner_records_the_servers_refusal(make_world: MakeWorld) -> None:
    world = expired(make_world())
    world.families[0]["revoked"] = True
    for _ in range(3):
        with pytest.raises(ReauthorizationRequiredError):
            world.process().token()
    assert world.sent == ["refresh-0-0"]
    assert [key for key in world.backend.list() if key.startswith("refused-refresh-")]


def _forget_intent(world: World) -> None:
    """Take away the intent that stands, as a store without a comparing write may."""
    entry, record = world.backend.read(world.key), world.record()
    assert entry is not None
    assert record is not None
    world.backend.write(world.key, replace(record, intent=None).to_json(), follows=entry.revision)
