"""Every resource of every API, as ``apis/`` declares it: what tests go through so that none is left out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.resource import resources_of
from airflow_provider_finauth.connections import CONNECTION_TYPES

if TYPE_CHECKING:
    from airflow_provider_finauth.apis.resource import Resource
    from airflow_provider_finauth.hooks.base import FinauthHook


@dataclass(frozen=True)
class Declared:
    """A resource of a hook.

    :param hook: whose API declares it
    :param resource: what is declared
    """

    hook: type[FinauthHook[Any]]
    resource: Resource

    @property
    def operator_name(self) -> str:
        """What its operator is called."""
        words = "".join(word.capitalize() for word in self.resource.name.split("_"))
        return f"{self.hook.api_class.__name__}{words}Operator"

    def __str__(self) -> str:
        return f"{self.hook.conn_type}.{self.resource.name}"


def _hook(name: str) -> type[FinauthHook[Any]]:
    module, _, attribute = name.rpartition(".")
    found: type[FinauthHook[Any]] = getattr(import_module(module), attribute)
    return found


HOOKS = [_hook(declared.hook_class) for declared in CONNECTION_TYPES.values()]
RESOURCES = [Declared(hook, resource) for hook in HOOKS for resource in resources_of(hook.api_class).values()]
