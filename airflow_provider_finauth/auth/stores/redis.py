"""The store of a fleet that has a Redis: entries with revisions, compared and set by script, and leases.

Redis knows no lock that ends with its holder, only a lease that ends with time. It is judged by Redis's own
clock, extended while it is held, and looked at in the same step as each write under it: who was stopped for
longer than the lease overwrites nothing. What remains is a holder that is stopped after it has sent a
refresh token and before it has read the answer: the next one then sends the same refresh token again. For
grants that start over alone that costs one request; a server that revokes an authorisation on such a replay
is better served by the store ``sql``.

What Redis has confirmed outlives an orderly end. Under ``appendfsync everysec``, its default, a crash or a
power cut may take the last second or two with it; under ``appendfsync always`` it takes nothing. Replicas are
written to afterwards, so a failover may take the last writes as well.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.auth.sealer import Sealer, Undecryptable
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Hold, LockLost, UnreadableEntry
from airflow_provider_finauth.auth.stores.redis_server import (
    ForeignValue,
    RedisAddress,
    RedisClient,
    faults,
    troubles,
)
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    FinauthError,
    LockTimeoutError,
    StoreUnavailableError,
)
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["RedisAddress", "RedisHold", "RedisStore"]

# Longer than a process is usually stopped for, shorter than a person waits for a dead one's lease.
_LEASE = 30.0
# A fleet's waiters ask over the network, so less often than those of a lock file.
_SHORTEST_PAUSE = 0.02
_LONGEST_PAUSE = 0.1
# A server may be exchanged or set otherwise while a long-lived process keeps its store.
_CHECKED_FOR = 300.0

# Whatever stands under the key counts as revision 0 if it is not ours, as `read` tells its caller.
_REVISION = """
local kind = redis.call('TYPE', KEYS[1]).ok
local text = kind == 'hash' and redis.call('HGET', KEYS[1], 'revision') or '0'
local revision = (string.match(text, '^%d+$') and #text < 16) and tonumber(text) or 0
local sealed = kind == 'hash' and redis.call('HGET', KEYS[1], 'sealed')
local function keep(number, text)
    if kind ~= 'hash' then redis.call('DEL', KEYS[1]) end
    redis.call('HSET', KEYS[1], 'revision', string.format('%.0f', number), 'sealed', text)
end
"""

# A sealed text is never made twice: if it stands there, this very write came through and its answer was lost.
_WRITE = (
    _REVISION
    + """
local follows = tonumber(ARGV[1])
if sealed == ARGV[2] and revision == follows + 1 then return {'kept', revision} end
if KEYS[2] and redis.call('GET', KEYS[2]) ~= ARGV[3] then return {'lost', revision} end
if revision ~= follows then return {'conflict', revision} end
keep(follows + 1, ARGV[2])
return {'kept', follows + 1}
"""
)

# The revision stays: a new entry must not look like one that was read before.
_DELETE = (
    _REVISION
    + """
if kind ~= 'none' and sealed ~= '' then keep(revision + 1, '') end
"""
)

_ACQUIRE = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_EXTEND = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class RedisHold:
    """A lease that we got. A forked child does not have it.

    :param client: to ask with
    :param name: the lease's key in Redis
    """

    def __init__(self, client: RedisClient, name: str) -> None:
        self.name = name
        self._client = client
        self._owner = secrets.token_hex(16)
        self._process = os.getpid()

    @property
    def of_this_process(self) -> bool:
        """False in a child that was forked within the block."""
        return os.getpid() == self._process

    @property
    def owner(self) -> str:
        """What stands under the lease's key while it is ours; something that never does in a forked child."""
        return self._owner if self.of_this_process else "nobody"

    def is_ours(self) -> bool:
        owner = self.owner.encode()
        return bool(self._client.ask(lambda redis: redis.get(self.name)) == owner)


class RedisStore:
    """Keeps each entry in a Redis hash of its own, encrypted by us.

    At its first use, and every few minutes, the server is looked at: one that does not keep what it is told,
    or whose entries were encrypted with another key, is refused.

    :param address: the server
    :param sealer: encrypts what is kept, with the ``[finauth] store_key`` that all workers have
    :param prefix: what the names of all keys in Redis begin with
    :param lease: seconds after which a dead holder's lock is free
    :param clock: of this process, for waiting
    """

    name = "redis"
    durable = True
    reach = "all who share the Redis server, by a lease"
    binds_all = True

    def __init__(
        self,
        address: RedisAddress,
        sealer: Sealer,
        *,
        prefix: str = "finauth",
        lease: float = _LEASE,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.sealer = sealer
        self._client = RedisClient(address)
        self._prefix = prefix
        self._lease = lease
        self._clock = clock
        self._checked_until = float("-inf")
        renew_after_fork(self)

    def init(self) -> None:
        self._check()

    def place(self) -> str:
        address = self._client.address
        version = self._client.facts().get("redis_version", "?")
        tls = "without TLS"
        if address.tls:
            tls = "by TLS" if address.verify else "by TLS, whose certificate is not checked"
        return f"Redis {version} at {address.host}:{address.port}, {tls}"

    def problems(self) -> list[str]:
        facts = self._client.facts()
        found = [*faults(facts, self._client.where), *troubles(facts, self._client.where)]
        if not found:
            # Where it takes no writes, a key's fingerprint could not be left either.
            try:
                self._check_key()
            except ConfigurationError as error:
                found.append(str(error))
        return found

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        name = self._entry(key)
        try:
            found = self._ready().ask(lambda redis: redis.hmget(name, ["revision", "sealed"]))
        except ForeignValue:
            raise UnreadableEntry(f"{self._client.where} holds under '{name}' what is not ours.") from None
        if found == [None, None]:
            return None
        revision, sealed = _number(found[0]), found[1]
        if revision and sealed == b"":
            return Entry(revision, b"")
        try:
            # In Latin-1 whatever bytes stand there are a text, which is then no sealed one.
            payload = self.sealer.open((sealed or b"").decode("latin-1"))
        except Undecryptable:
            payload = None
        if payload is None or not revision:
            raise UnreadableEntry(
                f"The entry '{name}' in {self._client.where} was encrypted with another key, or is damaged. "
                "Bring back the former [finauth] store_key, or delete the entry.",
                revision=revision,
            )
        return Entry(revision, payload)

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        sealed = self.sealer.seal(payload)
        del payload  # no traceback from here on shows it
        names, owner = [self._entry(key)], ""
        if under is not None:
            if not isinstance(under, RedisHold):
                raise TypeError("the lock under which an entry is written must be this store's")
            names.append(under.name)
            owner = under.owner
        outcome, revision = self._run(_WRITE, names, follows, sealed, owner)
        if outcome == b"lost":
            raise LockLost("the lock's lease ended before the entry was written")
        if outcome == b"conflict":
            raise Conflict(f"the entry is at revision {revision}, not {follows}")
        return follows + 1

    def list(self) -> list[str]:
        return sorted(self._ready().ask(self._keys))

    def delete(self, key: str) -> None:
        self._run(_DELETE, [self._entry(key)])

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[Hold]:
        hold = RedisHold(self._client, f"{self._prefix}:lock:{key}")
        self._acquire(hold, timeout)
        released = threading.Event()
        try:
            threading.Thread(
                target=self._extend, args=(hold, released), name="finauth-lease", daemon=True
            ).start()
            yield hold
        finally:
            # In a child that was forked within the block neither the event nor the lease is its own.
            if hold.of_this_process:
                released.set()
                with suppress(FinauthError):
                    self._run(_RELEASE, [hold.name], hold.owner, attempts=1)

    def now(self) -> float:
        seconds, microseconds = self._ready().ask(lambda redis: redis.time())
        return float(seconds) + float(microseconds) / 1e6

    def after_fork(self) -> None:
        """Look at the server anew, through connections of the child's own."""
        self._checked_until = float("-inf")

    def _acquire(self, hold: RedisHold, timeout: float) -> None:
        """Get the lease, or wait for it.

        If the answer is lost, it may be given to nobody; it is free again when its time is over.
        """
        ends = self._clock.monotonic() + timeout
        while not self._run(_ACQUIRE, [hold.name], hold.owner, self._lease_ms):
            if self._clock.monotonic() >= ends:
                raise LockTimeoutError(
                    f"Another task held a token's lock for more than {timeout:.0f} s. Try again; if it goes "
                    "on, a token request takes longer than [finauth] lock_timeout."
                )
            self._clock.sleep(random.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE))  # noqa: S311 - protects nothing

    def _extend(self, hold: RedisHold, released: threading.Event) -> None:
        """Extend a lease until it is released or lost; whoever writes under it is told which."""
        pause = self._lease / 3
        while not released.wait(pause):
            try:
                if not self._run(_EXTEND, [hold.name], hold.owner, self._lease_ms, attempts=1):
                    return
                pause = self._lease / 3
            except FinauthError:
                pause = self._lease / 30

    @property
    def _lease_ms(self) -> int:
        return round(self._lease * 1000)

    def _entry(self, key: str) -> str:
        return f"{self._prefix}:entry:{key}"

    def _run(self, script: str, names: Sequence[str], *arguments: object, **how: int) -> Any:
        return self._ready().ask(lambda redis: redis.eval(script, len(names), *names, *arguments), **how)

    def _keys(self, redis: Any) -> set[str]:
        prefix = self._entry("").encode()
        pattern = re.sub(rb"([\\*?\[])", rb"\\\1", prefix) + b"*"
        names = list(redis.scan_iter(match=pattern, count=500))
        lengths = redis.pipeline(transaction=False)
        for name in names:
            lengths.hstrlen(name, "sealed")
        # An error stands for what is no hash: something that is not ours, and not nothing either.
        stands = lengths.execute(raise_on_error=False) if names else []
        return {
            name.removeprefix(prefix).decode(errors="replace")
            for name, length in zip(names, stands, strict=True)
            if length != 0
        }

    def _ready(self) -> RedisClient:
        """Give the client, once the server is known to keep what it is told."""
        if self._clock.monotonic() >= self._checked_until:
            self._check()
        return self._client

    def _check(self) -> None:
        """Refuse a server that is not fit.

        :raises ConfigurationError: it is set otherwise than the store needs, or keeps another key's entries
        :raises StoreUnavailableError: it cannot be asked, or takes no writes for the time being
        """
        facts = self._client.facts()
        where = self._client.where
        if facts.get("role") == "slave":
            raise StoreUnavailableError(" ".join(troubles(facts, where)))
        found = faults(facts, where)
        if found:
            raise ConfigurationError(" ".join(found), field="token_store")
        self._check_key()
        self._checked_until = self._clock.monotonic() + _CHECKED_FOR

    def _check_key(self) -> None:
        name = f"{self._prefix}:key"
        fingerprint = self.sealer.digest(b"finauth store key").encode()

        def question(redis: Any) -> object:
            found = redis.get(name)
            if found is None:
                redis.set(name, fingerprint, nx=True)
                found = redis.get(name)
            return found

        if self._client.ask(question) != fingerprint:
            raise ConfigurationError(
                f"The tokens in {self._client.where} were encrypted with another [finauth] store_key. Give "
                "all workers the same one. To begin anew with this one, which forgets every token kept "
                f"there, delete the keys '{self._prefix}:*' in that Redis.",
                field="store_key",
            )


def _number(text: bytes | None) -> int:
    """Read a revision; 0 where none stands that a script would read as one."""
    return int(text) if text is not None and re.fullmatch(rb"[0-9]{1,15}", text) else 0
