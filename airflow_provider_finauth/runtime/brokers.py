"""The broker that all hooks of a process share, made as ``[finauth]`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.config import Config, lock_folder, read_config
from airflow_provider_finauth.runtime.variable_store import VariableStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_finauth.auth.stores.base import Store

_brokers: dict[Config, Broker] = {}


def broker() -> Broker:
    """Give this process's broker.

    There is one for each configuration, so that threads that ask for the same token at once ask it once.

    :raises ConfigurationError: an option of ``[finauth]`` cannot be used
    """
    config = read_config()
    found = _brokers.get(config)
    if found is None:
        # Of two threads that come here at once both must get the one that is kept; making one costs nothing.
        found = _brokers.setdefault(config, _broker(store(config), config.lock_timeout))
    return found


def memory_broker() -> Broker:
    """Give a broker that shares nothing with anybody: for connection tests, which must leave no trace."""
    return _broker(MemoryStore(), read_config().lock_timeout)


def store(config: Config) -> Store:
    """Make the token store that a configuration names.

    :raises ConfigurationError: it has no key to encrypt with
    """
    if config.token_store == "memory":
        return MemoryStore()
    if config.token_folder is not None:
        return FileStore(config.token_folder, Sealer(_file_key(config)))
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


def _broker(kept_in: Store, lock_timeout: float) -> Broker:
    return Broker(kept_in, lock_timeout=lock_timeout, on_secret=door.mask_token, on_event=_report)


def _report(event: str, labels: Mapping[str, str | float]) -> None:
    # A number as a tag would make a time series of each value.
    tags = {name: value for name, value in labels.items() if isinstance(value, str)}
    door.count(f"finauth.token.{event}", tags)
    seconds = labels.get("seconds")
    if isinstance(seconds, float):
        door.timing(f"finauth.token.{event}.duration", seconds, tags)
