"""The hook of connections of type ``luca``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.luca import GRAPHQL_PATH, Luca
from airflow_provider_finauth.apis.reading import flag, optional_flag
from airflow_provider_finauth.client.bodies import encode_json
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.hooks.base import FinauthHook
from airflow_provider_finauth.runtime.errors import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_finauth.client.paging.base import Page, Pull
    from airflow_provider_finauth.client.paging.tally import Tally
    from airflow_provider_finauth.client.paging.walk import OnMismatch
    from airflow_provider_finauth.hooks.records import Records


class LucaHook(FinauthHook[Luca]):
    """Talks to Luca's GraphQL API.

    :param luca_conn_id: a connection of type ``luca``
    """

    conn_name_attr = "luca_conn_id"
    default_conn_name = "luca_default"
    conn_type = "luca"
    hook_name = "Luca Regnskap"
    api_class = Luca

    def __init__(self, luca_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(luca_conn_id, **kwargs)

    def graphql(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        idempotent: bool | str | None = None,
        allow_partial: bool | str = False,
    ) -> dict[str, Any]:
        """Run one document and give its ``data``.

        :param query: a GraphQL document; with OAuth each of its fields has to name a ``companyId``
        :param variables: of the document
        :param idempotent: whether it may be repeated when an answer is lost; None repeats queries only
        :param allow_partial: give ``{"data": …, "errors": […]}`` where some fields failed, instead of raising
        """
        with airflow_errors():
            answer: dict[str, Any] = self.client.graphql(
                query,
                variables,
                path=GRAPHQL_PATH,
                idempotent=optional_flag("idempotent", idempotent),
                allow_partial=flag("allow_partial", allow_partial),
            )
            return answer

    def companies(self, *, limit: int | str | None = None) -> Records:
        """Pull the companies (``id``, ``name``, ``organisationNumber``) that the connection covers.

        :param limit: stop after so many
        """
        return self._records(lambda since, until: self.api.companies(), limit=limit)

    def nodes(
        self,
        query: str,
        connection_path: str,
        variables: Mapping[str, Any] | None = None,
        *,
        company_ids: Iterable[str] | str | None = None,
        page_size: int | str = 100,
        verify: bool | str = False,
        limit: int | str | None = None,
    ) -> Records:
        """Walk a Relay connection, for one or several companies; see :meth:`.apis.luca.Luca.nodes`.

        A node of a walk over several companies gets the member ``companyId``, unless the query asks for one.

        :param company_ids: ids or organisation numbers; without them the connection's field, and if that is
            empty all companies that the consent covers. A personal API key needs none, it is bound to one
        :param limit: stop after so many
        """
        if isinstance(company_ids, str):
            company_ids = company_ids.split(",")
        chosen = [text for company in company_ids or () if (text := str(company).strip())]

        def described(company: str | None) -> Pull:
            return self.api.nodes(
                query, connection_path, variables, company_id=company, page_size=page_size, verify=verify
            )

        def walk(
            pull: Pull,
            *,
            limit: int | None,
            tally: Tally,
            on_mismatch: OnMismatch,
            bookmarks: bool = False,
            resume: Mapping[str, Any] | None = None,
        ) -> Iterator[Page]:
            companies = chosen or list(self.api.company_ids)
            if not companies and not self.api.spans_companies:
                yield from self.client.pages(
                    pull,
                    limit=limit,
                    tally=tally,
                    on_mismatch=on_mismatch,
                    bookmarks=bookmarks,
                    resume=resume,
                )
                return
            if bookmarks:
                raise ConfigurationError(
                    "Argument 'resumable' goes on within one walk, and here each company has one of its own. "
                    "Leave it out, or use the personal API key of one company.",
                    field="resumable",
                )
            for company in companies or [str(each["id"]) for each in self.companies()]:
                if limit is not None and limit <= 0:
                    return
                for page in self.client.pages(
                    described(company), limit=limit, tally=tally, on_mismatch=on_mismatch
                ):
                    if limit is not None:
                        limit -= len(page.rows)
                    yield replace(page, rows=named_nodes(page.rows, company))

        return self._records(lambda since, until: described(next(iter(chosen), None)), limit=limit, walk=walk)


def named_nodes(rows: Rows, company: str) -> Rows:
    """Say in each node whose it is, unless it says so itself; nothing else of its text is touched."""
    return Rows([_with_company(bytes(text), company) for text in rows.texts])


def _with_company(node: bytes, company: str) -> bytes:
    if b'"companyId"' in node:
        return encode_json({"companyId": company, **Rows([node]).records[0]})
    members = node.removeprefix(b"{").lstrip()
    if members == node:
        # A null, in the place of a node that could not be read.
        return node
    comma = b"" if members.startswith(b"}") else b","
    return b'{"companyId":' + encode_json(company) + comma + members
