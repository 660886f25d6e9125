"""What is timed as a program of its own: imports, and what Airflow's masker costs."""

from __future__ import annotations

from dataclasses import dataclass

_AIRFLOW = """
try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:
    from airflow import DAG
    from airflow.models.baseoperator import BaseOperator
"""

_OURS = """
import importlib, pkgutil
import airflow_provider_finauth.operators as operators
for module in pkgutil.walk_packages(operators.__path__, f"{operators.__name__}."):
    importlib.import_module(module.name)
"""

_TOKENS = """
import random
import string
letters = random.Random(1).choices(string.ascii_letters + string.digits, k=900 * {count})
tokens = ["".join(letters[start : start + 900]) for start in range(0, len(letters), 900)]
"""

_MASKED_BY_US = """
from airflow_provider_finauth.runtime.door import mask_token
from airflow_provider_finauth.secret import Secret
mask_token(Secret("a token that loads what is needed"))
"""

_MASKED_BY_AIRFLOW = """
from airflow.providers.common.compat.sdk import mask_secret
"""


@dataclass(frozen=True)
class Program:
    """One thing to time in a fresh interpreter.

    :param title: what it is
    :param before: run before the clock starts
    :param measured: run while it does
    :param environment: below ``.venv``
    :param rounds: how often
    """

    title: str
    before: str
    measured: str
    environment: str = "bench"
    rounds: int = 5


OUR_OPERATORS = "all our operators, over `airflow.sdk`"

IMPORTS = (
    Program(OUR_OPERATORS, _AIRFLOW, _OURS),
    Program(
        "Airflow HttpOperator, over `airflow.sdk`", _AIRFLOW, "import airflow.providers.http.operators.http"
    ),
    Program(
        "Airflow MSGraphAsyncOperator, over `airflow.sdk`",
        _AIRFLOW,
        "import airflow.providers.microsoft.azure.operators.msgraph",
    ),
    Program("`airflow.sdk` itself (DAG and BaseOperator)", "", _AIRFLOW),
    Program("dlt's REST client", "", "import dlt.sources.helpers.rest_client.client"),
    Program("Singer SDK's streams", "", "import singer_sdk.streams", environment="matrix-singer"),
    Program("Airbyte CDK's HTTP stream", "", "import airbyte_cdk.sources.streams.http.http"),
    Program("aiohttp", "", "import aiohttp"),
    Program("requests", "", "import requests"),
)

MASKING = (
    Program(
        "ours (the last 32 characters), 100 tokens",
        _TOKENS.format(count=100) + _MASKED_BY_US,
        "for token in tokens: mask_token(Secret(token))",
        rounds=2,
    ),
    Program(
        "Airflow's `mask_secret` of the whole token, 100 tokens",
        _TOKENS.format(count=100) + _MASKED_BY_AIRFLOW,
        "for token in tokens: mask_secret(token)",
        rounds=2,
    ),
    Program(
        "ours, 1,000 tokens",
        _TOKENS.format(count=1000) + _MASKED_BY_US,
        "for token in tokens: mask_token(Secret(token))",
        rounds=1,
    ),
)
