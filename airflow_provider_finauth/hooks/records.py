"""What a hook's list methods give: the records of a pull, fetched as they are read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.runtime.errors import airflow_errors, guarded

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page

_log = logging.getLogger(__name__)


class Records(Iterator[Any]):
    """The records of a pull, one after the other.

    Nothing is asked for before the first record is read, and no page before it is needed. A pull is walked
    once; call the hook's method again for another walk.

    :param api: the connection type
    :param resource: what is pulled
    :param pages: begins the walk
    :param window: the time asked for
    """

    def __init__(
        self,
        api: str,
        resource: str,
        pages: Callable[[], Iterator[Page]],
        *,
        window: Mapping[str, str] | None = None,
    ) -> None:
        self._api = api
        self._resource = resource
        self._pages = pages
        self._window = window
        self._walk = guarded(record for page in self.pages() for record in page.records)
        self._failure: Exception | None = None

    def __next__(self) -> Any:
        if self._failure is not None:
            # A generator that has failed would say that this was all.
            raise self._failure
        try:
            return next(self._walk)
        except StopIteration:
            raise
        except Exception as error:
            self._failure = error
            raise

    def pages(self) -> Iterator[Page]:
        """Walk page by page instead."""
        return guarded(self._pages())

    def land(
        self,
        *,
        output: str | None = None,
        output_format: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> list[Any] | dict[str, Any]:
        """Bring all records to where they are wanted.

        :param output: None gives them back as they go through XCom; else a path or ``ObjectStoragePath``
        :param output_format: where the suffix of ``output`` does not tell
        :param context: the task's context; without it the running task's
        :return: the records, or the manifest of the file
        :raises ResultTooLargeError: they do not fit into XCom: set ``output``
        """
        from airflow_provider_finauth.runtime.landing import land

        with airflow_errors():
            landed = land(
                self._pages(),
                output=output,
                output_format=output_format,
                api=self._api,
                resource=self._resource,
                window=self._window,
                context=context,
            )
        if isinstance(landed, dict):
            _log.info("Pulled %d records of %s to %s", landed["records"], self._resource, landed["uri"])
        else:
            _log.info("Pulled %d records of %s", len(landed), self._resource)
        return landed
