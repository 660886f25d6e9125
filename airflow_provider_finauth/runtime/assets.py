"""What Airflow is told when a pull has landed: an event of each asset that the task names as its outlet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# An event is a row of Airflow's database and is loaded by each run that it starts.
MOST_FILES = 100
# What RFC 3986 lets stand in a path. A '?' or '#' of an object's key would begin something else.
_PATH = "/!$&'()*+,;=:@~"


def announce(context: Mapping[str, Any], outlets: Iterable[Any] | None, manifest: Mapping[str, Any]) -> None:
    """Let the events of a task's outlets carry the manifest of what it has pulled.

    An asset's event gets it as its ``extra``, which ``read_records()`` takes. An alias gets the event of an
    asset that bears the target's address. Other outlets, which are for lineage, are left alone.

    The list of a set of very many files is left to the manifest beside them; ``read_records()`` takes its
    address, too.

    :param context: the task's context
    :param outlets: the task's outlets
    :param manifest: what the pull left
    """
    if not outlets:
        return
    from airflow.providers.common.compat.sdk import Asset, AssetAlias

    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            found = Asset(uri=asset_uri(manifest["uri"]))
            context["outlet_events"][outlet].add(found, extra=_hashable(_extra(manifest)))
        elif isinstance(outlet, (Asset, *_references())):
            context["outlet_events"][outlet].extra.update(_extra(manifest))


def asset_uri(uri: str) -> str:
    """Make the address of an asset of a manifest's: without a connection's id, and with nothing but ASCII.

    :param uri: for example ``s3://my_connection@bucket/a folder/file.jsonl``
    """
    scheme, separator, rest = uri.partition("://")
    if scheme == "file":
        # Such an address has been encoded already.
        return uri
    authority, slash, key = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{quote(key, safe=_PATH)}"


def _extra(manifest: Mapping[str, Any]) -> dict[str, Any]:
    extra = dict(manifest)
    files = extra.get("files")
    if files and len(files) > MOST_FILES:
        # Their list is in the set's manifest, which ``uri`` names.
        extra["files"] = None
    return extra


def _references() -> tuple[type, ...]:
    """Give what may stand for an asset where it is defined elsewhere; Airflow 2 knows no such thing."""
    try:
        from airflow.sdk.definitions.asset import AssetRef
    except ImportError:
        return ()
    return (AssetRef,)


class _Mapping(dict[str, Any]):
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))


class _List(list[Any]):
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))


def _hashable(value: Any) -> Any:
    """Make mappings and lists hashable, at any depth.

    Airflow 2.11 makes a set of the members of what an alias' event carries, and a mapping or list among them
    would end the task after its work is done. As JSON they are what they were.
    """
    if isinstance(value, dict):
        return _Mapping({name: _hashable(member) for name, member in value.items()})
    if isinstance(value, list):
        return _List(_hashable(member) for member in value)
    return value
