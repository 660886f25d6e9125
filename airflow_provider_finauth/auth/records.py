"""Making the records that a lineage consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.tokens import TokenSet

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.shared_time import SharedTime
    from airflow_provider_finauth.auth.stores.base import Store
    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.transport.clock import Clock


def unspent_seed(credentials: Credentials, record: Record | None) -> Secret | None:
    """Give the connection's seed if the lineage has never seen it: it goes before what stands."""
    seed = credentials.refresh_token
    if seed and (record is None or not record.knows_seed(secret_hash(seed))):
        return seed
    return None


@dataclass(frozen=True)
class Records:
    """Makes records.

    :param store: whose encryption makes the fingerprints
    :param time: the store's
    :param clock: this process's
    """

    store: Store
    time: SharedTime
    clock: Clock

    def planted(self, credentials: Credentials, seed: Secret) -> Record:
        """Make generation 0 of a seed's lineage: the seed, before it has brought a token."""
        name = secret_hash(seed)
        now = self.time.now()
        return Record(
            conn_id=credentials.conn_id,
            api=credentials.api,
            token_origin=str(credentials.token_origin),
            fingerprint=credentials.fingerprint(self.store.sealer.digest),
            tokens=TokenSet(
                access_token=None,
                refresh_token=seed,
                issued_at=now,
                expires_at=now,
                lifetime=0.0,
                generation=0,
                lineage=f"seed-{name}",
            ),
            spent=frozenset({name}),
            minted_at=0.0,
        )

    def consented(self, credentials: Credentials, answer: Answer, old: Record | None, lineage: str) -> Record:
        """Make generation 1 of a consent's lineage.

        The connection's seed counts as spent from now on, so that it cannot win over the consent.
        """
        ours = {secret_hash(seed) for seed in (credentials.refresh_token, answer.refresh_token) if seed}
        return self._made(
            credentials,
            answer,
            old,
            refresh_token=answer.refresh_token,
            generation=1,
            lineage=lineage,
            spent=(old.spent if old else frozenset()) | ours,
        )

    def started_over(
        self, credentials: Credentials, answer: Answer, old: Record | None, lineage: str, sent: Secret | None
    ) -> Record:
        """Make the record that follows where a token costs one request.

        :param sent: the refresh token that was sent, None for a login
        """
        return self._made(
            credentials,
            answer,
            old,
            refresh_token=answer.refresh_token or sent,
            generation=old.tokens.generation + 1 if old else 1,
            lineage=lineage,
            spent=frozenset(),
        )

    def refreshed(
        self,
        credentials: Credentials,
        answer: Answer,
        old: Record | None,
        sent: Secret,
        *,
        now: float | None = None,
    ) -> Record:
        """Make the record that follows a refresh.

        :param sent: the refresh token that was sent: a seed, or the standing one
        :param now: the store's time, if it is known: nothing is asked between an answer and its write
        """
        lineage, spent = (old.tokens.lineage, old.spent) if old else ("", frozenset[str]())
        if unspent_seed(credentials, old):
            lineage, spent = f"seed-{secret_hash(sent)}", spent | {secret_hash(sent)}
        if old is not None and old.unanswered is not None:
            # It may have been another seed's, which is thereby as good as spent.
            spent |= {old.unanswered.sent}
        follows = old is not None and old.tokens.lineage == lineage
        return self._made(
            credentials,
            answer,
            old,
            # RFC 6749 section 6: no new refresh token means that the old one stays.
            refresh_token=answer.refresh_token or sent,
            generation=old.tokens.generation + 1 if old is not None and follows else 1,
            lineage=lineage,
            spent=spent,
            rotates=answer.refresh_token not in (None, sent) or (old is not None and follows and old.rotates),
            now=now,
        )

    def _made(
        self,
        credentials: Credentials,
        answer: Answer,
        old: Record | None,
        *,
        refresh_token: Secret | None,
        generation: int,
        lineage: str,
        spent: frozenset[str],
        rotates: bool = False,
        now: float | None = None,
    ) -> Record:
        now = self.time.now() if now is None else now
        # The life counts from the beginning of the request: the server may count from any moment after.
        age = self.clock.monotonic() - answer.asked_at if answer.asked_at is not None else 0.0
        scope = answer.scope or credentials.scope
        if answer.scope is None and old is not None and old.tokens.lineage == lineage:
            scope = old.tokens.scope or scope
        return Record(
            conn_id=credentials.conn_id,
            api=credentials.api,
            token_origin=str(credentials.token_origin),
            fingerprint=credentials.fingerprint(self.store.sealer.digest),
            tokens=TokenSet(
                access_token=answer.access_token,
                refresh_token=refresh_token,
                scope=scope,
                token_type=answer.token_type,
                issued_at=now - age,
                expires_at=now - age + answer.lifetime,
                lifetime=answer.lifetime,
                generation=generation,
                lineage=lineage,
            ),
            spent=spent,
            minted_at=now,
            rotates=rotates,
            others=old.others if old is not None else {},
        )
