"""The operator that renews tokens before they lapse: one task for all that use them."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_finauth import exceptions, values
from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError, TokensNotRenewedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context


class RefreshTokensOperator(BaseOperator):
    """Renews the tokens of connections, of any of our types, that would lapse soon.

    Run on a schedule, in one place, it is the only one that ever renews: tasks elsewhere find a token that is
    fresh, and need no lock that reaches across machines. A renewal by a task begins 300 seconds before a
    token's end at most, so ``valid_for`` has to exceed the time between two runs by more than that.

    Returns a list with an entry for each connection that has a token: ``conn_id``, ``expires_at`` (in UTC),
    ``generation``, and whether it was ``refreshed`` now. A connection with a fixed key is passed over.
    A refresh that got no answer, while the old token works, is a warning in the log and no failure.

    :param conn_ids: the connections; a comma-separated string is accepted, as templates give one
    :param valid_for: how long each token is to last from now: seconds, or a ``timedelta``
    :raises TokensNotRenewedError: some could not be renewed; all others were
    """

    template_fields: Sequence[str] = ("conn_ids", "valid_for")

    def __init__(
        self,
        *,
        conn_ids: Sequence[str] | str,
        valid_for: float | str | timedelta = timedelta(minutes=30),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conn_ids = conn_ids
        self.valid_for = valid_for

    def execute(self, context: Context) -> list[dict[str, Any]]:
        from airflow_provider_finauth.runtime.errors import airflow_errors

        with airflow_errors():
            conn_ids = list(dict.fromkeys(values.argument("conn_ids", values.strings, self.conn_ids)))
            valid_for = values.argument("valid_for", values.duration, self.valid_for).total_seconds()
            if not conn_ids:
                raise ConfigurationError("Argument 'conn_ids' must name a connection.", field="conn_ids")
            if not valid_for:
                raise ConfigurationError("Argument 'valid_for' must be above zero.", field="valid_for")
        done: list[dict[str, Any]] = []
        failures: dict[str, FinauthError] = {}
        for conn_id in conn_ids:
            try:
                found = self._renew(conn_id, valid_for)
            except FinauthError as error:
                self.log.error("Connection '%s': its token was not renewed. %s", conn_id, error)
                failures[conn_id] = error
            else:
                done += [found] if found is not None else []
        if failures:
            raise _error(failures, len(conn_ids))
        return done

    def _renew(self, conn_id: str, valid_for: float) -> dict[str, Any] | None:
        from datetime import UTC, datetime

        from airflow_provider_finauth.hooks.chosen import hook_of

        hook = hook_of(conn_id)
        if hook.api.profile.has_fixed_key:
            self.log.info("Connection '%s' authenticates with a fixed key: no token to renew.", conn_id)
            return None
        renewed = hook.refresh_token(valid_for=valid_for)
        ends = datetime.fromtimestamp(renewed.tokens.expires_at, UTC).isoformat(timespec="seconds")
        left = renewed.tokens.expires_at - time.time()
        if not renewed.is_new and left < valid_for:
            self.log.warning(
                f"Connection '{conn_id}': its token could not be renewed: a request for a new one got no "
                f"response, and is repeated when the old one ends. It lasts until {ends}, for {left:.0f} s "
                f"instead of {valid_for:.0f} s."
            )
        else:
            done = "was renewed" if renewed.is_new else "needed no renewal"
            self.log.info("Connection '%s': its token %s, and lasts until %s.", conn_id, done, ends)
        return {
            "conn_id": conn_id,
            "expires_at": ends,
            "generation": renewed.tokens.generation,
            "refreshed": renewed.is_new,
        }


def _error(failures: dict[str, FinauthError], of: int) -> TokensNotRenewedError:
    from airflow_provider_finauth.runtime import errors

    reasons = " ".join(f"{conn_id}: {error}" for conn_id, error in failures.items())
    # Another try is worth it as long as it may help one of them.
    kind = errors if all(error.permanent for error in failures.values()) else exceptions
    return kind.TokensNotRenewedError(
        f"The tokens of {len(failures)} of {of} connections were not renewed. {reasons}", failures=failures
    )
