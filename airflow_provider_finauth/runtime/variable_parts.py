"""What the Variables of the token store hold, and how one is read and written."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from airflow_provider_finauth.runtime import door

# No word here for which Airflow hides values: its masker would register each whole value at each read, which
# becomes slow beyond measure. The values are encrypted.
PREFIX = "finauth_lineage_"
PROBE_VARIABLE = "finauth_probe"

_DESCRIPTION = "A token of airflow-provider-finauth, encrypted. Not to be edited."
_PROBE_DESCRIPTION = "Written by airflow-provider-finauth to see whether Airflow answers. Holds nothing."


class Part(NamedTuple):
    """The value of one Variable.

    :param key: the store's key
    :param revision: of the write that put it here
    :param sealed: the encrypted payload; empty where only the revision is kept
    :param era: see :mod:`~airflow_provider_finauth.runtime.variable_grants`; 0 for what is no part of a grant
    :param generation: of the token set that it holds or belongs to
    """

    key: str
    revision: int
    sealed: str
    era: int = 0
    generation: int = 0

    def to_text(self) -> str:
        """Write the Variable's value."""
        members = self._asdict()
        if not self.era:
            del members["era"], members["generation"]
        return json.dumps(members)

    @classmethod
    def from_text(cls, text: str) -> Part:
        """Read a Variable's value.

        :raises ValueError: it is damaged
        """
        try:
            value = json.loads(text)
            return cls(
                str(value["key"]),
                int(value["revision"]),
                str(value["sealed"]),
                int(value.get("era", 0)),
                int(value.get("generation", 0)),
            )
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError("not an entry") from error


def key_hash(key: str) -> str:
    """Shorten a key to what a file or a Variable can be named by."""
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def variable_name(key: str) -> str:
    """Name the Variable of a key; those of a grant's parts begin with it."""
    return f"{PREFIX}{key_hash(key)}"


def put(name: str, part: Part) -> None:
    """Write a part.

    :raises StoreUnavailableError: Airflow could not be asked
    """
    door.variable_set(name, part.to_text(), description=_DESCRIPTION)


def probe() -> None:
    """Write something that does not matter, since only a write tells surely that Airflow is there.

    An Airflow whose API server is down answers "nothing" to a question for a Variable; asked to write one, it
    fails.

    :raises StoreUnavailableError: Airflow could not be asked
    """
    door.variable_set(PROBE_VARIABLE, "1", description=_PROBE_DESCRIPTION)
