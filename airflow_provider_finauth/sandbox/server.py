"""Both servers, the plain one and OP's with mutual TLS, in one event loop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from airflow_provider_finauth.sandbox.certificates import make_certificates
from airflow_provider_finauth.sandbox.control import Control
from airflow_provider_finauth.sandbox.credentials import connections, write_environment
from airflow_provider_finauth.sandbox.faults import Fault
from airflow_provider_finauth.sandbox.generic import Generic
from airflow_provider_finauth.sandbox.growth import Growth
from airflow_provider_finauth.sandbox.landax import Landax
from airflow_provider_finauth.sandbox.luca import Luca
from airflow_provider_finauth.sandbox.opcorporate import OPCorporate
from airflow_provider_finauth.sandbox.running import READY, running_sandbox
from airflow_provider_finauth.sandbox.talenom import Talenom
from airflow_provider_finauth.sandbox.tradevest import Tradevest
from airflow_provider_finauth.sandbox.values import ENCODER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.routing import BaseRoute

__all__ = ["run", "running_sandbox"]

ADDRESS = "127.0.0.1"


class _Server(uvicorn.Server):
    """One of two servers: signals are for both, so neither takes them for itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _application(routes: list[BaseRoute]) -> Callable[..., Any]:
    router = Router(routes, redirect_slashes=False)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await router(scope, receive, send)

    return application


def _control_routes(control: Control) -> list[BaseRoute]:
    async def stats(request: Request) -> JSONResponse:
        return JSONResponse({api: counts.as_dict() for api, counts in control.stats.items()})

    async def reset(request: Request) -> JSONResponse:
        control.reset()
        return JSONResponse({"reset": True})

    async def faults(request: Request) -> JSONResponse:
        try:
            told = json.loads(await request.body())
            fault = Fault.read({**told, "api": control.name(str(told.get("api")))})
        except (TypeError, ValueError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        if fault.kind == "expire_tokens" and fault.skip == 0:
            # Nothing to wait for: the tokens end now, and no request has to be spent on it.
            control.offices[fault.api].expire_all()
        else:
            control.faults.add(fault)
        return JSONResponse({"added": fault.kind})

    async def settings(request: Request) -> JSONResponse:
        try:
            told = json.loads(await request.body())
            for api, values in told.items():
                control.settings[control.name(api)].change(values)
        except (TypeError, ValueError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({api: control.settings[control.name(api)].as_dict() for api in told})

    async def records(request: Request) -> Response:
        try:
            told = json.loads(await request.body())
            table = control.table(str(told.pop("api", None)), str(told.pop("list", None)))
            done = Growth.read(told).apply(table)
        except (TypeError, ValueError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return Response(ENCODER.encode(done), media_type="application/json")

    return [
        Route("/_sandbox/stats", stats, methods=["GET"]),
        Route("/_sandbox/reset", reset, methods=["POST"]),
        Route("/_sandbox/faults", faults, methods=["POST"]),
        Route("/_sandbox/settings", settings, methods=["POST"]),
        Route("/_sandbox/records", records, methods=["POST"]),
    ]


def _bind(port: int, option: str) -> socket.socket:
    # asyncio switches Nagle's delay off only for sockets that say they are TCP.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((ADDRESS, port))
    except OSError as error:
        bound.close()
        raise OSError(
            f"Port {port} of {ADDRESS} is not free: {error.strerror}. Choose another one with {option}."
        ) from None
    return bound


def _config(routes: list[BaseRoute], **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        _application(routes),
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
        backlog=512,
        **more,
    )


def run(
    *,
    port: int,
    tls_port: int,
    env_file: str | Path | None,
    records: int | None,
    until_stdin_closes: bool,
) -> None:
    """Serve until told to stop; see :func:`airflow_provider_finauth.sandbox.serve`."""
    with _bind(port, "--port") as plain, _bind(tls_port, "--tls-port") as secure:
        url = f"http://{ADDRESS}:{plain.getsockname()[1]}"
        tls_url = f"https://localhost:{secure.getsockname()[1]}"
        holder: Any = tempfile.TemporaryDirectory(prefix="finauth-sandbox-")
        if env_file is not None:
            path = Path(env_file).absolute()
            holder = nullcontext(path.with_name(path.name + ".tls"))
        with holder as folder:
            certificates = make_certificates(Path(folder))
            control = Control(records)
            bank = OPCorporate(control)
            others = [api(control) for api in (Talenom, Landax, Tradevest, Luca, Generic)]
            servers = [
                _Server(_config([*_control_routes(control), *(r for api in others for r in api.routes())])),
                _Server(
                    _config(
                        list(bank.routes()),
                        ssl_certfile=certificates.server_certificate,
                        ssl_keyfile=certificates.server_key,
                        ssl_ca_certs=str(certificates.ca_file),
                        ssl_cert_reqs=ssl.CERT_REQUIRED,
                    )
                ),
            ]
            ready = f"{READY}{url} {tls_url}"
            if env_file is not None:
                write_environment(path, connections(url, tls_url, certificates))
                ready += f" (env file: {env_file})"
            asyncio.run(_serve(servers, [plain, secure], ready, until_stdin_closes))


async def _serve(
    servers: list[_Server], sockets: list[socket.socket], ready: str, until_stdin_closes: bool
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if until_stdin_closes:

        def look() -> None:
            if not os.read(sys.stdin.fileno(), 1024):
                loop.remove_reader(sys.stdin)
                stop()

        loop.add_reader(sys.stdin, look)
    tasks = [
        asyncio.create_task(server.serve(sockets=[bound]))
        for server, bound in zip(servers, sockets, strict=True)
    ]
    while not all(server.started for server in servers) and not any(task.done() for task in tasks):
        await asyncio.sleep(0.005)
    if all(server.started for server in servers):
        print(ready, flush=True)
    await asyncio.gather(*tasks)
