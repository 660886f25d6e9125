"""A small model of the rules by which processes share a rotating refresh token.

States are immutable tuples, steps are everything that can happen next. Time is abstract: a deadline has
passed or not, an access token is fresh, due or dead, a server's leeway is open or over. A process that is
stopped is one that makes no step, so every stop at every place is among the interleavings.

Refresh tokens are numbered as the server issues them, in a family for each consent. A request takes effect
before its deadline or never; its answer may be read at any later time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

SENTENCES: dict[str, str] = {
    "4a-intent": "Before asking, an intent is written.",
    "4a-revision": "The intent is accepted only if the revision is the one read.",
    "4a-lock": "The intent is accepted only if the lock is still ours.",
    "4b-deadline": "Directly before the first byte the owner gives up if its deadline has passed.",
    "4c-durable": "A good answer is written durably before it is used.",
    "4c-place": "It is written only if lineage and generation are those it followed.",
    "4c-any-intent": "It is written whatever intent stands there by then.",
    "4c-adopt": "Otherwise what is found is adopted.",
    "4d-wait": "Nobody acts on another's intent before its deadline.",
    "4e-rescue": "A set that could not be written is left beside the lock file.",
    "4e-read-first": "The next caller on the host reads it first.",
    "4e-write-back": "A process that knows a newer generation than the store writes it back.",
    "4f-delete": "A loser never deletes.",
    "4f-drop": "Dropping an access token leaves the refresh token.",
    "5-unanswered": "A refresh that may have left and got no OAuth answer is unanswered.",
    "5-dead-owner": "So is a dead owner's.",
    "5-leeway": "Within the leeway it is repeated at once.",
    "5-leeway-end": "Such a repeat gives up when the leeway is over.",
    "5-rest": "Otherwise it rests while the old access token is accepted.",
    "5-repeat": "Then it is repeated: only the server's refusal ends it.",
    "5-never-sent": "A failure before the first byte is repeated at once.",
    "6-adopt": "invalid_grant: a newer generation or lineage is adopted.",
    "6-wait": "If the standing intent is not ours or our lock is gone, wait and begin again.",
    "6-owner": "Only the owner of the standing intent records a refusal.",
}
"""The sentences of rules 4, 5 and 6 that can be switched off."""

DEAD, DUE, FRESH = 0, 1, 2
NOBODY = -1
NOTHING: Any = ()

Kind = Literal["step", "time", "fault"]


class Server(NamedTuple):
    """How the token endpoint treats refresh tokens."""

    rotates: bool = True
    revokes: bool = True
    """A spent refresh token ends the whole family."""
    leeway: bool = False
    """The one before is taken once more for a while, and gives another successor."""
    ends_access: bool = False
    """A refresh ends the old access token."""


class Setting(NamedTuple):
    """What is explored.

    :param lease: the store's lock may end under its holder, as redis's; otherwise with its process only
    :param hosts: whether each process has a host of its own
    :param slow: whether a request may reach the server after its deadline
    :param assumes_rotation: whether the client takes the grant for a rotating one
    :param mints: how many refresh tokens the server issues before time stands still
    :param faults: how many crashes, lost messages, store failures and consents there may be
    """

    server: Server
    processes: int = 2
    lease: bool = False
    hosts: bool = False
    slow: bool = False
    assumes_rotation: bool = True
    mints: int = 2
    faults: int = 2
    consents: int = 1
    without: frozenset[str] = frozenset()


class Family(NamedTuple):
    """What the server knows of one consent. The tokens in ``grace`` are spent, and taken all the same."""

    issued: int
    honoured: tuple[int, ...]
    grace: tuple[int, ...] = ()
    revoked: bool = False
    residual: bool = False
    """Somebody has taken over from one who lost lock or store with its answer unwritten."""


class Record(NamedTuple):
    """What the store keeps: a place, its refresh token, its access token's age, an unanswered refresh."""

    family: int
    generation: int
    refresh: int
    access: int
    unanswered: bool = False

    @property
    def place(self) -> tuple[int, int]:
        return self.family, self.generation

    @property
    def token(self) -> tuple[int, int]:
        return self.family, self.refresh


class Process(NamedTuple):
    """A process: where it stands in its attempt and what it knows.

    ``at``: idle, claim (read, about to write its intent), send, wait (for the answer), used (the answer
    is in use and not yet written) or gone (a person has to authorise again).
    """

    at: str = "idle"
    read: Any = NOTHING
    outdated: bool = False
    """Somebody has written since it read."""
    late: bool = False
    """The deadline of its attempt has passed."""
    repeats: bool = False
    """Its attempt counts on the leeway."""
    risks: bool = False
    """When it read, the answer was with one who had lost its lock, or its way to the store."""
    wire: Any = NOTHING
    """("ask", token, repeats), ("answer", number), ("refused",) or ("failed",)"""
    unwritten: Any = NOTHING
    rescue: Any = NOTHING
    """The rescue file of its host."""
    refused: Any = NOTHING
    """The place whose access token an API has refused."""


class State(NamedTuple):
    """Everything. ``intent`` is (owner, overdue), ``orphans`` are requests whose senders are dead."""

    families: tuple[Family, ...]
    record: Record
    intent: Any
    lock: Any
    leeway: bool
    refusals: tuple[tuple[int, int], ...]
    orphans: tuple[Any, ...]
    processes: tuple[Process, ...]
    faults: int
    consents: int


class Step(NamedTuple):
    """One thing that can happen, and what is wrong with it."""

    name: str
    kind: Kind
    state: State
    wrong: str = ""


class Model:
    """The rules, some sentences left out."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.server = setting.server
        unknown = setting.without - SENTENCES.keys()
        assert not unknown, unknown
        self._on = {sentence: sentence not in setting.without for sentence in SENTENCES}

    def beginnings(self) -> list[State]:
        """Give the states in which everything begins: the access token is due, or dead."""
        return [
            self.canonical(
                State(
                    families=(Family(1, (0,)),),
                    record=Record(0, 1, 0, access),
                    intent=NOTHING,
                    lock=NOTHING,
                    leeway=False,
                    refusals=(),
                    orphans=(),
                    processes=(Process(),) * self.setting.processes,
                    faults=self.setting.faults,
                    consents=self.setting.consents,
                )
            )
            for access in (DUE, DEAD)
        ]

    def canonical(self, state: State) -> State:
        """Name the processes by what they are, so that states which differ in names only are one."""
        owner = state.intent[0] if state.intent else NOBODY
        order = sorted(
            range(len(state.processes)),
            key=lambda i: (state.processes[i], owner == i, state.lock == (i,)),
        )
        if order == list(range(len(order))):
            return state
        new_name = {old: new for new, old in enumerate(order)}
        return state._replace(
            processes=tuple(state.processes[i] for i in order),
            intent=(new_name.get(owner, NOBODY), state.intent[1]) if state.intent else NOTHING,
            lock=(new_name.get(state.lock[0], NOBODY),) if state.lock else NOTHING,
        )

    def steps(self, state: State) -> Iterator[Step]:
        """Give everything that can happen next."""
        for i, process in enumerate(state.processes):
            yield from self._steps_of(state, i, process)
        yield from self._time(state)
        yield from self._network(state)
        yield from self._faults(state)

    # What is known, and what would be lost

    def known(
        self, state: State, *, certain: bool = False, lasting: bool = False, at_risk_too: bool = False
    ) -> bool:
        """Tell whether the store, a rescue file or a living process has a refresh token that is honoured.

        :param certain: leave out what documented residual risks may lose: the unwritten answer of a
            process that has lost its lock, and what only a process cut off from the store knows
        :param at_risk_too: even where a residual risk has been taken before
        :param lasting: leave out what is taken only within a leeway that the client must think over
        """
        record = state.record
        family = state.families[-1]
        if family.revoked or (certain and family.residual and not at_risk_too):
            return False
        newest = len(state.families) - 1
        honoured = family.honoured
        if state.leeway or not lasting:
            honoured += family.grace
        if record.family == newest and record.refresh in honoured:
            return True
        for i, process in enumerate(state.processes):
            for kept in (process.unwritten, process.rescue):
                cut_off = certain and self.setting.hosts
                if kept and kept.family == newest and kept.refresh in honoured and not cut_off:
                    return True
            answered = process.wire and process.wire[0] == "answer" and process.read.family == newest
            if answered and process.wire[1] in honoured and (not certain or state.lock == (i,)):
                return True
        return False

    def _is_at_risk(self, state: State) -> bool:
        """Tell whether an answer is with one who lost lock or store before writing it."""
        honoured = state.families[-1].honoured
        newest = len(state.families) - 1
        for i, process in enumerate(state.processes):
            answered = process.wire[:1] == ("answer",) and process.read.family == newest
            unwritten = answered and process.wire[1] != state.record.refresh
            if unwritten and process.wire[1] in honoured and state.lock != (i,):
                return True
            if self.setting.slow and process.wire[:1] == ("ask",) and state.lock != (i,):
                return True
            for kept in (process.unwritten, process.rescue):
                if self.setting.hosts and kept and kept.family == newest and kept.place > state.record.place:
                    return True
        return False

    def settled(self, state: State) -> bool:
        """Tell whether all have a token, or the server's refusal."""
        return all(
            process.at == "gone"
            or (process.at == "idle" and (self._access(state, process) == FRESH or process.unwritten))
            for process in state.processes
        )

    def fresh(self, state: State) -> bool:
        """Tell whether a new token stands in the store, or is in use and on its way there."""
        return state.record.access == FRESH or any(process.unwritten for process in state.processes)

    # A process's own steps

    def _steps_of(self, state: State, i: int, process: Process) -> Iterator[Step]:
        if process.unwritten:
            yield self._write_back(state, i, f"{i} repeats its write", process.unwritten)
        if process.at == "idle":
            yield from self._look(state, i, process)
        elif process.at == "gone":
            if state.record.token not in state.refusals:
                yield Step(f"{i} is called again", "step", self._put(state, i, process._replace(at="idle")))
        elif process.at == "claim":
            yield self._claim(state, i, process)
        elif process.at == "send":
            yield self._send(state, i, process)
        elif process.at == "used":
            yield from self._keep(state, i, process)
        elif process.wire[0] == "answer":
            if self._on["4c-durable"]:
                yield from self._keep(state, i, process)
            else:
                yield Step(f"{i} uses its answer", "step", self._put(state, i, process._replace(at="used")))
        elif process.wire[0] == "failed":
            yield self._note_unanswered(state, i, process)
        elif process.wire[0] == "refused":
            yield self._judge_refusal(state, i, process)

    def _look(self, state: State, i: int, process: Process) -> Iterator[Step]:
        """Take the lock, read the store, and decide."""
        if state.lock or process.unwritten:
            return
        record, intent = state.record, state.intent
        if self._on["4e-read-first"] and (left := self._left_on_host(state, i)) is not None:
            name = f"{i} writes a rescue file back"
            yield self._write_back(state, i, name, state.processes[left].rescue, owner=left)
            return
        if record.token in state.refusals:
            yield Step(
                f"{i} is told of the refusal",
                "step",
                self._put(state, i, process._replace(at="gone")),
                self._wrong_to_give_up(state),
            )
            return
        access = self._access(state, process)
        if access == FRESH:
            return
        if not self.setting.assumes_rotation:
            yield self._begin(state, i, process, record, repeats=False)
            return
        unanswered = record.unanswered
        if intent:
            if not intent[1] and self._on["4d-wait"]:
                return
            unanswered = unanswered or self._on["5-dead-owner"]
        repeats = False
        if unanswered:
            if not self._on["5-repeat"]:
                yield Step(
                    f"{i} gives up",
                    "step",
                    self._put(state, i, process._replace(at="gone")),
                    self._wrong_to_give_up(state),
                )
                return
            repeats = self.server.leeway and state.leeway and self._on["5-leeway"]
            if not repeats and access and self._on["5-rest"]:
                return
        yield self._begin(state, i, process, record._replace(unanswered=unanswered), repeats=repeats)

    def _left_on_host(self, state: State, i: int) -> int | None:
        """Give the process whose rescue file the host has, if there is one."""
        for j, other in enumerate(state.processes):
            if other.rescue and (j == i or not self.setting.hosts):
                return j
        return None

    def _begin(self, state: State, i: int, process: Process, read: Record, *, repeats: bool) -> Step:
        claims = self.setting.assumes_rotation and self._on["4a-intent"]
        begun = process._replace(
            at="claim" if claims else "send",
            read=read,
            repeats=repeats,
            risks=self._is_at_risk(state),
        )
        return Step(f"{i} locks and reads", "step", self._put(state._replace(lock=(i,)), i, begun))

    def _claim(self, state: State, i: int, process: Process) -> Step:
        lost = self._on["4a-lock"] and state.lock != (i,)
        if lost or (self._on["4a-revision"] and process.outdated):
            return Step(f"{i} may not claim", "step", self._end(state, i, process))
        if process.risks:
            # What comes of it is not judged, only that everybody comes to an end.
            state = self._with_family(state, state.families[-1]._replace(residual=True))
            state = state._replace(faults=0, consents=0)
        claimed = self._wrote(
            state._replace(
                record=process.read,
                intent=(i, False),
                leeway=state.leeway if process.read.unanswered else True,
            ),
            i,
        )
        return Step(
            f"{i} writes its intent",
            "step",
            self._put(claimed, i, process._replace(at="send", outdated=False)),
            self._wrong_to_write(state, process.read),
        )

    def _send(self, state: State, i: int, process: Process) -> Step:
        over = process.late and self._on["4b-deadline"]
        if process.repeats and not state.leeway and self._on["5-leeway-end"]:
            over = True
        if over and self.setting.assumes_rotation:
            if not self._on["5-never-sent"]:
                return self._note_unanswered(state, i, process)
            return self._clear(state, i, process, f"{i} is too late to send")
        token = process.read.token
        sent = process._replace(at="wait", wire=("ask", token, process.repeats))
        return Step(
            f"{i} sends {token}", "step", self._put(state, i, sent), self._wrong_to_send(state, i, process)
        )

    def _keep(self, state: State, i: int, process: Process) -> Iterator[Step]:
        read = process.read
        record = Record(read.family, read.generation + 1, process.wire[1], FRESH)
        if self._may_keep(state, i, record):
            kept = self._wrote(state._replace(record=record, intent=NOTHING), i)
            yield Step(
                f"{i} keeps its answer",
                "step",
                self._end(kept, i, process),
                self._wrong_to_write(state, record),
            )
        elif self._on["4c-adopt"]:
            yield Step(f"{i} adopts what it finds", "step", self._end(state, i, process))
        else:
            own = self._end(state, i, process)
            own = self._put(own, i, own.processes[i]._replace(unwritten=record))
            yield Step(f"{i} goes on with its own", "step", own)
        if state.faults:
            failed = self._end(self._disown(state, i), i, process)._replace(faults=state.faults - 1)
            after = failed.processes[i]._replace(unwritten=record)
            if self._on["4e-rescue"]:
                after = after._replace(rescue=record)
            yield Step(f"{i}'s store fails at its answer", "fault", self._put(failed, i, after))

    def _may_keep(self, state: State, i: int, record: Record) -> bool:
        if not self._on["4c-any-intent"] and state.intent[:1] != (i,):
            return False
        followed = (record.family, record.generation - 1)
        return state.record.place == followed or not self._on["4c-place"]

    def _write_back(
        self, state: State, i: int, name: str, record: Record, *, owner: int | None = None
    ) -> Step:
        """Write what a store did not take, or forget it where others have gone on without it."""
        j = i if owner is None else owner
        wrong = ""
        if not self._on["4e-write-back"]:
            after = state
        elif self._may_keep(state, i, record) or not self._on["4c-place"]:
            after = self._wrote(state._replace(record=record, intent=NOTHING), NOBODY)
            wrong = self._wrong_to_write(state, record)
        else:
            after = state
        for k in {i, j}:
            known = after.processes[k]
            after = self._put(
                after,
                k,
                known._replace(
                    unwritten=NOTHING if known.unwritten == record else known.unwritten,
                    rescue=NOTHING if known.rescue == record else known.rescue,
                ),
            )
        return Step(name, "step", after, wrong)

    def _note_unanswered(self, state: State, i: int, process: Process) -> Step:
        if not self._on["5-unanswered"]:
            # Taken for a refusal, as most libraries do.
            return self._refuse(state, i, process)
        if not self.setting.assumes_rotation:
            return Step(f"{i} tries again", "step", self._end(state, i, process))
        return self._clear(state, i, process, f"{i} notes that there was no answer", unanswered=True)

    def _clear(self, state: State, i: int, process: Process, name: str, *, unanswered: bool = False) -> Step:
        if state.intent[:1] != (i,):
            return Step(name, "step", self._end(state, i, process))
        record = state.record
        if unanswered:
            record = record._replace(unanswered=True)
        if process.refused == state.record.place:
            # Nobody is to use the access token that the API refused.
            record = record._replace(access=DEAD)
            if not self._on["4f-drop"]:
                record = record._replace(refresh=NOBODY)
        cleared = self._wrote(state._replace(record=record, intent=NOTHING), i)
        return Step(name, "step", self._end(cleared, i, process), self._wrong_to_write(state, record))

    def _judge_refusal(self, state: State, i: int, process: Process) -> Step:
        if not self._on["4f-delete"]:
            deleted = state._replace(record=state.record._replace(refresh=NOBODY, access=DEAD))
            wrong = self._wrong_to_write(state, deleted.record)
            return Step(f"{i} is refused and deletes", "step", self._end(deleted, i, process), wrong)
        left = self._left_on_host(state, i) if self._on["4e-read-first"] else None
        if left is not None:
            name = f"{i} is refused and writes a rescue file back"
            step = self._write_back(state, i, name, state.processes[left].rescue, owner=left)
            return step._replace(state=self._end(step.state, i, step.state.processes[i]))
        if state.record.place != process.read.place and self._on["6-adopt"]:
            return Step(f"{i} is refused and adopts", "step", self._end(state, i, process))
        if self.setting.assumes_rotation and self._on["4a-intent"]:
            ours = state.intent[:1] == (i,)
            if not ours or state.lock != (i,):
                if self._on["6-wait"]:
                    return Step(
                        f"{i} is refused and waits", "step", self._end(self._disown(state, i), i, process)
                    )
                if not ours and self._on["6-owner"]:
                    # It gives up, but tells nobody.
                    gone = self._end(state, i, process)
                    gone = self._put(gone, i, gone.processes[i]._replace(at="gone"))
                    return Step(f"{i} is refused and gives up", "step", gone, self._wrong_to_give_up(state))
        return self._refuse(state, i, process)

    def _refuse(self, state: State, i: int, process: Process) -> Step:
        token = process.read.token
        wrong = self._wrong_to_give_up(state)
        refused = state._replace(refusals=tuple(sorted({*state.refusals, token})))
        if refused.intent[:1] == (i,):
            refused = refused._replace(intent=NOTHING)
        refused = self._end(refused, i, process)
        refused = self._put(refused, i, refused.processes[i]._replace(at="gone"))
        return Step(f"{i} is refused and records it", "step", refused, wrong)

    # Time, network, faults

    def _time(self, state: State) -> Iterator[Step]:
        record, intent = state.record, state.intent
        if intent and not intent[1] and self._has_ended(state, intent[0]):
            over = state._replace(intent=(intent[0], True))
            if intent[0] != NOBODY:
                over = self._put(over, intent[0], over.processes[intent[0]]._replace(late=True))
            yield Step("a deadline passes", "time", over)
        for i, process in enumerate(state.processes):
            timely = process.at in ("send", "wait") and not process.late and intent[:1] != (i,)
            if timely and self._has_ended(state, i):
                late = self._put(state, i, process._replace(late=True))
                yield Step(f"{i}'s deadline passes", "time", late)
        if state.leeway and not self._leans_on_leeway(state):
            yield Step("the client's leeway is over", "time", state._replace(leeway=False))
        elif not state.leeway and state.families[-1].grace:
            closed = state.families[-1]._replace(grace=())
            yield Step("the server's leeway is over", "time", self._with_family(state, closed))
        # Leeways are much shorter than an access token's life.
        leeway_is_over = not self.server.leeway or not (state.leeway or state.families[-1].grace)
        ageing = record.access == DUE and leeway_is_over
        if ageing or (record.access == FRESH and record.generation <= self.setting.mints):
            aged = state._replace(record=record._replace(access=record.access - 1))
            # Ageing is no write, so nobody's reading is outdated by it.
            yield Step("the access token ages", "time", aged)
        if self.server.ends_access and record.access and not self._accepted(state):
            yield from self._told(state, "time")
        if state.lock == (NOBODY,):
            yield Step("a dead holder's lease ends", "time", state._replace(lock=NOTHING))

    def _told(self, state: State, kind: Kind) -> Iterator[Step]:
        place = state.record.place
        for i, process in enumerate(state.processes):
            if process.at == "idle" and process.refused != place:
                told = self._put(state, i, process._replace(refused=place))
                yield Step(f"an API refuses {i}'s access token", kind, told)

    def _network(self, state: State) -> Iterator[Step]:
        for i, process in enumerate(state.processes):
            if process.wire[:1] == ("ask",):
                served, answer = self._serve(state, process.wire[1])
                yield Step(
                    f"the server answers {i}",
                    "time",
                    self._put(served, i, process._replace(wire=answer)),
                    self._wrong_to_serve(state, served),
                )
                if state.faults:
                    failed = process._replace(wire=("failed",))
                    less = state._replace(faults=state.faults - 1)
                    yield Step(f"{i}'s request is lost", "fault", self._put(less, i, failed))
                    less = served._replace(faults=state.faults - 1)
                    yield Step(
                        f"{i}'s answer is lost",
                        "fault",
                        self._put(less, i, failed),
                        self._wrong_to_serve(state, served),
                    )
        for orphan in set(state.orphans):
            left = list(state.orphans)
            left.remove(orphan)
            rest = state._replace(orphans=tuple(left))
            served, _ = self._serve(rest, orphan[0])
            wrong = self._wrong_to_serve(state, served)
            yield Step("a dead process's request arrives", "time", served, wrong)
            yield Step("a dead process's request is lost", "time", rest)

    def _faults(self, state: State) -> Iterator[Step]:
        if self.setting.lease and state.faults and state.lock not in (NOTHING, (NOBODY,)):
            ended = state._replace(lock=NOTHING, faults=state.faults - 1)
            yield Step("a lease ends under its holder", "fault", ended)
        if state.faults:
            for i, process in enumerate(state.processes):
                if process.at not in ("idle", "gone") or process.unwritten:
                    yield self._crash(state._replace(faults=state.faults - 1), i, process)
        if state.faults and state.record.access:
            yield from self._told(state._replace(faults=state.faults - 1), "fault")
        if state.consents:
            families = state.families
            if self.server.revokes:
                families = (*families[:-1], families[-1]._replace(revoked=True))
            families = (*families, Family(1, (0,)))
            record = Record(len(families) - 1, 1, 0, FRESH)
            consented = state._replace(
                families=families, record=record, intent=NOTHING, consents=state.consents - 1
            )
            yield Step("a person consents", "fault", self._wrote(consented, NOBODY))

    def _crash(self, state: State, i: int, process: Process) -> Step:
        wrong = ""
        crashed = self._put(self._disown(state, i), i, Process(rescue=process.rescue))
        if process.wire[:1] == ("ask",):
            crashed = crashed._replace(orphans=tuple(sorted((*state.orphans, process.wire[1:]))))
        if crashed.lock == (i,):
            crashed = crashed._replace(lock=(NOBODY,) if self.setting.lease else NOTHING)
        killed_between = process.at == "wait" and process.wire[:1] == ("answer",)
        if self.known(state, certain=True) and not self.known(crashed) and not killed_between:
            wrong = "a crash loses the grant, although its answer was in use"
        return Step(f"{i} crashes", "fault", crashed, wrong)

    def _serve(self, state: State, token: tuple[int, int]) -> tuple[State, tuple[Any, ...]]:
        number, refresh = token
        family = state.families[number]
        if family.revoked:
            return state, ("refused",)
        if not self.server.rotates:
            return state, ("answer", refresh)
        if refresh not in family.honoured + family.grace:
            if self.server.revokes:
                family = family._replace(revoked=True, honoured=(), grace=())
            return self._with_family(state, family, number), ("refused",)
        honoured = [known for known in family.honoured if known != refresh]
        family = family._replace(
            issued=family.issued + 1,
            honoured=(*honoured, family.issued),
            grace=(refresh,) if self.server.leeway else (),
        )
        return self._with_family(state, family, number), ("answer", family.issued - 1)

    # What must never happen

    def _wrong_to_send(self, state: State, i: int, process: Process) -> str:
        if not self.server.rotates or process.read.family != len(state.families) - 1:
            return ""
        token = process.read.token
        family = state.families[-1]
        under_way = [
            other.wire[1:2]
            for j, other in enumerate(state.processes)
            if j != i and other.wire[:1] == ("ask",)
        ]
        if not self.setting.slow and (
            (token,) in under_way or any(orphan[0] == token for orphan in state.orphans)
        ):
            return "a refresh token is sent while another's attempt with it is under way"
        if family.revoked or token[1] in family.honoured + family.grace:
            return ""
        if self.known(state, certain=True):
            return "a spent refresh token is sent although its successor is known"
        if self._access(state, process) and self._accepted(state) and not family.residual:
            return "a spent refresh token is sent while the old access token works"
        return ""

    def _wrong_to_serve(self, before: State, after: State) -> str:
        ended = after.families[-1].revoked and not before.families[-1].revoked
        if ended and self.known(before, certain=True):
            return "a replay ends a grant whose refresh token was known"
        return ""

    def _wrong_to_write(self, before: State, record: Record) -> str:
        if record.family < before.record.family:
            return "a new consent is undone"
        after = before._replace(record=record)
        # The writer's own answer is written by this, so it counts as known before and after.
        if self.known(before, certain=True) and not self.known(after):
            return "a write loses the refresh token that the server honours"
        return ""

    def _wrong_to_give_up(self, state: State) -> str:
        if self.known(state, certain=True, at_risk_too=True):
            return "a process gives up although a refresh token is known"
        return ""

    # Small changes

    def _access(self, state: State, process: Process) -> int:
        return DEAD if process.refused == state.record.place else state.record.access

    def _accepted(self, state: State) -> bool:
        family = state.families[state.record.family]
        if family.revoked:
            return False
        return not self.server.ends_access or state.record.refresh in family.honoured

    def _leans_on_leeway(self, state: State) -> bool:
        """Tell whether a repeat is on its way whose deadline is the leeway's end."""
        wires = [process.wire[1:] for process in state.processes if process.wire[:1] == ("ask",)]
        return self._on["5-leeway-end"] and any(wire[1] for wire in (*wires, *state.orphans))

    def _has_ended(self, state: State, owner: int) -> bool:
        """Tell whether nothing of an attempt can reach the server any more, unless its owner sends late."""
        if self.setting.slow:
            return True
        if owner == NOBODY:
            return not state.orphans
        return state.processes[owner].wire[:1] != ("ask",)

    def _put(self, state: State, i: int, process: Process) -> State:
        processes = list(state.processes)
        processes[i] = process
        return state._replace(processes=tuple(processes))

    def _wrote(self, state: State, writer: int) -> State:
        """Outdate what the others have read."""
        return state._replace(
            processes=tuple(
                process._replace(outdated=True) if process.at == "claim" and j != writer else process
                for j, process in enumerate(state.processes)
            )
        )

    def _disown(self, state: State, i: int) -> State:
        if state.intent[:1] == (i,):
            return state._replace(intent=(NOBODY, state.intent[1]))
        return state

    def _end(self, state: State, i: int, process: Process) -> State:
        """End an attempt: the lock is given back, and only what could not be written is remembered."""
        if state.lock == (i,):
            state = state._replace(lock=NOTHING)
        stands = process.refused == state.record.place and state.record.access != DEAD
        return self._put(
            self._disown(state, i),
            i,
            Process(
                unwritten=process.unwritten,
                rescue=process.rescue,
                refused=process.refused if stands else NOTHING,
            ),
        )

    def _with_family(self, state: State, family: Family, number: int = -1) -> State:
        families = list(state.families)
        families[number] = family
        return state._replace(families=tuple(families))
