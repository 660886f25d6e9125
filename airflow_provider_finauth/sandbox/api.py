"""What the APIs of the sandbox have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_finauth.sandbox.answer import Answer
from airflow_provider_finauth.sandbox.call import Call
from airflow_provider_finauth.sandbox.endpoint import Endpoint
from airflow_provider_finauth.sandbox.tokens import Office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.routing import BaseRoute

    from airflow_provider_finauth.sandbox.control import Control
    from airflow_provider_finauth.sandbox.table import Table

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class Api(ABC):
    """One vendor: its endpoints, its settings and the tokens it has given out.

    Subclasses state ``name`` (which the control plane knows it by), ``prefix`` (of its paths),
    ``defaults`` (its settings), ``growing`` (the lists that may hold more rows than are kept, and rows that
    come in) and ``largest`` (the names of those that are as large as the whole sandbox is told to be), and
    give their endpoints by :meth:`endpoints`.
    """

    name: ClassVar[str]
    prefix: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}
    growing: ClassVar[dict[str, Table]] = {}
    largest: ClassVar[tuple[str, ...]] = ()

    def __init__(self, control: Control) -> None:
        self.office = self.make_office()
        self.control = control
        self.settings = control.add(self.name, self.defaults, self.office)
        control.tables[self.name] = self.growing
        control.resets.append(self.reset)
        self.reset_tables()

    def make_office(self) -> Office:
        """Where its tokens come from."""
        return Office()

    def reset(self) -> None:
        """Forget all tokens and whatever else came after the start."""
        self.office.clear()
        self.reset_tables()

    def reset_tables(self) -> None:
        """Give each list the rows that it began with."""
        for name, table in self.growing.items():
            table.reset(self.control.records if name in self.largest else None)

    @abstractmethod
    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        """Where (token, api, other), method, path below the prefix, and handler of each endpoint."""

    def not_found(self, call: Call) -> Answer:
        """The answer to a path that the vendor does not have."""
        return Answer(404)

    def routes(self) -> Iterator[BaseRoute]:
        """All endpoints as routes, and one for paths that there are not."""
        from starlette.routing import Route

        for where, method, path, handler in self.endpoints():
            template = self.prefix + path
            endpoint = Endpoint(self.control, self.office, self.name, where, template, handler)
            yield Route(template, endpoint, methods=[method])
        rest = f"{self.prefix}/{{rest:path}}"
        endpoint = Endpoint(self.control, self.office, self.name, "api", rest, self.not_found)
        yield Route(rest, endpoint, methods=METHODS)
