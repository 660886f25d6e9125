"""The connection forms of Airflow 2.11, made from the same table as the provider info.

Airflow 3.2 and newer build theirs from the provider info and call none of this.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.connections import CONNECTION_TYPES, Field, Kind
from airflow_provider_finauth.get_provider_info import field_behaviour


def widgets(conn_type: str) -> dict[str, Any]:
    """Make the form's fields for ``extra``."""
    return {field.name: _widget(field) for field in CONNECTION_TYPES[conn_type].extras}


def behaviour(conn_type: str) -> dict[str, Any]:
    """Say how the form's own fields are called, and which are hidden."""
    metadata = field_behaviour(CONNECTION_TYPES[conn_type])
    return {name.replace("-", "_"): value for name, value in metadata.items()}


def _widget(field: Field) -> Any:
    # Only Airflow 2 brings these along.
    from flask_appbuilder.fieldwidgets import (
        BS3PasswordFieldWidget,
        BS3TextAreaFieldWidget,
        BS3TextFieldWidget,
    )
    from wtforms import BooleanField, PasswordField, StringField

    # A drop-down would remove the whole connection type from Airflow 2.11's form, so the choices are told.
    help_text = " ".join(
        part for part in (field.help, f"One of: {', '.join(field.choices)}." if field.choices else "") if part
    )
    told: dict[str, Any] = {"label": field.label, "description": help_text}
    if field.kind is Kind.FLAG:
        return BooleanField(default=bool(field.default), **told)
    told["default"] = None if field.default is None else str(field.default)
    if field.kind is Kind.SECRET:
        return PasswordField(widget=BS3PasswordFieldWidget(), **told)
    if field.kind in (Kind.PEM, Kind.SECRET_PEM, Kind.MAPPING, Kind.SECRET_MAPPING):
        # A TextAreaField would remove the whole connection type, as a drop-down would.
        return StringField(widget=BS3TextAreaFieldWidget(), **told)
    return StringField(widget=BS3TextFieldWidget(), **told)
