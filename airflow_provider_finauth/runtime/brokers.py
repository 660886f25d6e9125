"""The broker that all hooks of a process share, made as ``[finauth]`` says."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.cooldown import CoolDowns
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.config import SERVER_STORES, Config, lock_folder, read_config
from airflow_provider_finauth.runtime.store_connections import server_store
from airflow_provider_finauth.runtime.variable_store import VariableStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_finauth.auth.stores.base import Store

_brokers: dict[Config, Broker] = {}

# Of these the seconds are all there is to tell, and a timer counts its values besides.
_MEASURES = frozenset({"lock_wait", "age_at_use"})


def broker() -> Broker:
    """Give this process's broker.

    There is one for each configuration, so that threads that ask for the same token at once ask it once.

    :raises ConfigurationError: an option of ``[finauth]`` cannot be used
    """
    config = read_config()
    found = _brokers.get(config)
    if found is None:
        # Of two threads that come here at once both must get the one that is kept; making one costs nothing.
        found = _brokers.setdefault(config, _shared_broker(config))
    return found


def memory_broker() -> Broker:
    """Give a broker that shares nothing with anybody: for connection tests, which must leave no trace."""
    return _broker(MemoryStore(), read_config())


def store(config: Config) -> Store:
    """Make the token store that a configuration names.

    :raises ConfigurationError: it has no key to encrypt with, or what says where it is cannot be used
    :raises FinauthError: the connection that says where it is cannot be read
    """
    if config.token_store == "memory":
        return MemoryStore()
    if config.token_folder is not None:
        return FileStore(config.token_folder, Sealer(_file_key(config)))
    if config.token_store in SERVER_STORES:
        return server_store(config)
    return VariableStore(lock_folder(config), config.store_key)


def _file_key(config: Config) -> str:
    key = config.store_key.reveal() if config.store_key else door.config_value("core", "fernet_key", "")
    if not key:
        raise ConfigurationError(
            "The token store 'file' needs a key to encrypt with: set [finauth] store_key, the same for all "
            "processes that share the folder.",
            field="store_key",
        )
    return key


def _shared_broker(config: Config) -> Broker:
    kept_in = store(config)
    # What is shared with nobody needs no files beside it.
    folder = lock_folder(config) if kept_in.durable else None
    return _broker(kept_in, config, rescue_folder=folder, cooldowns=CoolDowns(kept_in, folder))


def _broker(
    kept_in: Store,
    config: Config,
    *,
    rescue_folder: Path | None = None,
    cooldowns: CoolDowns | None = None,
) -> Broker:
    return Broker(
        kept_in,
        lock_timeout=config.lock_timeout,
        rescue_folder=rescue_folder,
        cooldowns=cooldowns,
        on_secret=door.mask_token,
        on_event=_report,
    )


def _report(event: str, labels: Mapping[str, str | float]) -> None:
    # A number as a tag would make a time series of each value.
    tags = {name: value for name, value in labels.items() if isinstance(value, str)}
    name, seconds = f"finauth.token.{event}", labels.get("seconds")
    # A metric that is lost is no reason to lose a token.
    with suppress(Exception):
        if event not in _MEASURES:
            door.count(name, tags)
        if seconds is not None:
            door.timing(name if event in _MEASURES else f"{name}.duration", float(seconds), tags)
