"""What Airflow discovers about this package.

Airflow calls :func:`get_provider_info` in every process that looks at its providers, so nothing heavy is
imported here.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth import __version__
from airflow_provider_finauth.configuration import CONFIG_OPTIONS
from airflow_provider_finauth.connections import CONNECTION_TYPES, ConnectionType, Field, Kind

_PACKAGE = "airflow_provider_finauth"
_JSON_TYPES = {Kind.INTEGER: "integer", Kind.NUMBER: "number", Kind.FLAG: "boolean"}
_FORMATS = {
    Kind.SECRET: "password",
    Kind.SECRET_PEM: "multiline",
    Kind.PEM: "multiline",
    Kind.MAPPING: "multiline",
    Kind.SECRET_MAPPING: "multiline",
}


def form_field(field: Field) -> dict[str, Any]:
    """Describe a field of ``extra`` for Airflow's own form (3.2 and newer)."""
    # A field whose type does not admit null is required by the form, and so are all of them on saving.
    schema: dict[str, Any] = {"type": [_JSON_TYPES.get(field.kind, "string"), "null"]}
    if field.kind in _FORMATS:
        schema["format"] = _FORMATS[field.kind]
    if field.default is not None:
        schema["default"] = field.default
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.minimum is not None:
        schema["minimum"] = field.minimum
    if field.maximum is not None:
        schema["maximum"] = field.maximum
    if field.section:
        schema["section"] = field.section
    return {"label": field.label, "description": field.help, "schema": schema}


def field_behaviour(connection_type: ConnectionType) -> dict[str, Any]:
    """Say which of Airflow's own fields a connection type uses, and what they are called."""
    standard = [field for field in connection_type if not field.is_extra]
    return {
        "hidden-fields": ["schema", "port"],
        "relabeling": {field.name: field.label for field in standard},
        "placeholders": {
            field.name: str(field.default) if field.default else field.help
            for field in standard
            if field.default or field.help
        },
    }


def _connection_type(connection_type: ConnectionType) -> dict[str, Any]:
    return {
        "connection-type": connection_type.name,
        "hook-class-name": connection_type.hook_class,
        "hook-name": connection_type.title,
        "ui-field-behaviour": field_behaviour(connection_type),
        "conn-fields": {field.name: form_field(field) for field in connection_type.extras},
    }


def get_provider_info() -> dict[str, Any]:
    """Describe the provider in the form that Airflow's provider manager reads."""
    names = {item.title: item.hook_class.split(".")[-2] for item in CONNECTION_TYPES.values()}
    return {
        "package-name": "airflow-provider-finauth",
        "name": "Finauth",
        "description": "Pulls data out of business and finance APIs that use OAuth 2.0.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": title, "external-doc-url": url, "tags": ["service"]}
            for title, url in _DOCUMENTATION.items()
        ],
        "connection-types": [_connection_type(item) for item in CONNECTION_TYPES.values()],
        "hooks": [
            {"integration-name": title, "python-modules": [f"{_PACKAGE}.hooks.{name}"]}
            for title, name in names.items()
        ],
        "operators": [
            *(
                {"integration-name": title, "python-modules": [f"{_PACKAGE}.operators.{name}"]}
                for title, name in names.items()
            ),
            # Of all connection types; it is listed with the one that stands for any API.
            {
                "integration-name": CONNECTION_TYPES["oauth2api"].title,
                "python-modules": [f"{_PACKAGE}.operators.keep_alive"],
            },
        ],
        "config": {
            "finauth": {
                "description": "Tokens and results of the finauth provider.",
                "options": CONFIG_OPTIONS,
            }
        },
    }


_DOCUMENTATION = {
    "Talenom": "https://apimportal.talenom.com/",
    "OP Corporate Banking": "https://op-developer.fi/",
    "Landax": "https://docs.landax.no/",
    "Tradevest": "https://docs.tradevest.ai/",
    "Luca Regnskap": "https://www.lucaregnskap.no/",
    "OAuth 2.0 API": "https://www.rfc-editor.org/rfc/rfc6749",
}
