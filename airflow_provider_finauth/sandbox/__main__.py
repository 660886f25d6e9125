"""``python -m airflow_provider_finauth.sandbox``."""

from __future__ import annotations

import argparse
import sys

from airflow_provider_finauth.sandbox import SandboxUnavailableError, serve


def main() -> int:
    """Read the arguments, serve, and say in one sentence what went wrong if it did."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_finauth.sandbox",
        description="Serve Talenom, OP Corporate, Landax, Tradevest, Luca and a generic OAuth 2.0 API on "
        "127.0.0.1, with made-up data.",
    )
    parser.add_argument("--port", type=int, default=8765, help="plain HTTP (default 8765, 0: any)")
    parser.add_argument("--tls-port", type=int, default=8766, help="mutual TLS for OP (default 8766, 0: any)")
    parser.add_argument("--env-file", help="write the connections here, as lines to `source`")
    parser.add_argument("--records", type=int, help="how many records each API's largest lists hold")
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        serve(
            port=arguments.port,
            tls_port=arguments.tls_port,
            env_file=arguments.env_file,
            records=arguments.records,
            until_stdin_closes=arguments.until_stdin_closes,
        )
    except (OSError, SandboxUnavailableError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
