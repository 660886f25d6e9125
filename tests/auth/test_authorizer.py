from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.authorizer import BrokerAuthorizer, FixedAuthorizer, make_authorizer
from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.secret import Secret
from tests.auth.support import FakeClock, client_credentials

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker


def test_a_token_is_a_bearer_and_is_replaced_by_value(broker: Broker, clock: FakeClock) -> None:
    authorizer = make_authorizer(broker, client_credentials())
    assert isinstance(authorizer, BrokerAuthorizer)
    used = authorizer.authorization()
    assert used == Secret("Bearer access-1")
    assert authorizer.replace(used) is None
    clock.advance(61)
    assert authorizer.replace(used) == Secret("Bearer access-2")
    assert authorizer.replace(used) == authorizer.authorization() == Secret("Bearer access-2")


def test_a_fixed_key_stays_as_it_is(broker: Broker) -> None:
    authorizer = make_authorizer(broker, FixedCredentials("luca_default", Secret("Bearer key")))
    assert isinstance(authorizer, FixedAuthorizer)
    assert authorizer.authorization() == Secret("Bearer key")
    assert authorizer.replace(authorizer.authorization()) is None


def test_fixed_credentials_show_no_key() -> None:
    assert "the-key" not in repr(FixedCredentials("c", Secret("Bearer the-key")))
