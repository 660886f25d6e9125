"""Names of files and objects: how long they may be, which are safe, and which lie beside another."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote

from airflow_provider_finauth.exceptions import ConfigurationError

# What a set's manifest is called, behind the name that the user has given.
MANIFEST_SUFFIX = ".manifest.json"

# Of file systems in use. Object stores allow more, but what lies there is copied to disks.
_LONGEST_NAME = 255
_LONGEST_KEY = 1024

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_KEPT = 240


def check_names(path: str, *, key: bool = False) -> None:
    """Refuse a path that cannot be a file's.

    :param path: all of it
    :param key: of an object, whose folders and name count as one
    :raises ConfigurationError: it or a name in it is too long, or has a null character
    """
    if "\0" in path:
        raise ConfigurationError("Argument 'destination' has a null character.", field="destination")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            "Argument 'destination' has bytes that are no UTF-8. Name the target differently.",
            field="destination",
        ) from None
    lengths = [(len(name.encode()), _LONGEST_NAME) for name in path.split("/")]
    if key:
        lengths.append((len(path.encode()), _LONGEST_KEY))
    for length, longest in lengths:
        if length > longest:
            raise ConfigurationError(
                f"Argument 'destination' makes a name of {length} bytes where {longest} are allowed: "
                f"'{path.rpartition('/')[2][:60]}…'. Give the target a shorter one.",
                field="destination",
            )


def safe_name(text: str) -> str:
    """Make a name for files and objects of an id; two ids never get the same one.

    A run id holds colons and a plus sign, which some tools take for something else.
    """
    safe = _UNSAFE.sub("_", text).lstrip(".")
    if safe == text:
        return text
    return f"{safe[:_KEPT]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def name_within(uri: str, beside: str) -> str | None:
    """Give what leads to one file from the folder of another; None where it is not in that folder.

    :param uri: as a manifest names it
    :param beside: the other file's address, as a manifest names it
    """
    folder = beside[: beside.rfind("/") + 1]
    if not folder or not uri.startswith(folder):
        return None
    name = uri.removeprefix(folder)
    if uri.startswith("file://"):
        name = unquote(name)
    return None if any(part in ("", ".", "..") for part in name.split("/")) else name
