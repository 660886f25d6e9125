#!/usr/bin/env python3
"""Print docs/connections.md from the table of connections; `make docs` writes it."""

from __future__ import annotations

from airflow_provider_finauth.connections import CONNECTION_TYPES, ConnectionType, Field

INTRODUCTION = """# Connection types

Fill them in under *Admin > Connections*, with `airflow connections add`, as an environment variable
`AIRFLOW_CONN_…`, or in any secrets backend. `host`, `login` and `password` are Airflow's own fields; all
others lie in `extra`. Empty fields take the default. Secret fields are masked in logs and in Airflow's API
and pages.

```shell
airflow connections add talenom_default --conn-type talenom --conn-login '…' --conn-password '…' \\
    --conn-extra '{"subscription_api_key": "…", "scope": "…"}'
```

Try a connection with `airflow connections test <conn_id>`; Airflow needs `[core] test_connection = Enabled`
for it (`AIRFLOW__CORE__TEST_CONNECTION=Enabled` before the command is enough). A test asks for a token and
makes one cheap read, keeps neither, and spends nothing that a person has authorised. Where a person has to
authorise the connection, `Connection success!` means only that its fields are complete: the command does not
show what the test says about the authorisation. `finauth tokens` does.

A hook or an operator uses another connection than the default one by the argument `<type>_conn_id`, such as
`TalenomHook(talenom_conn_id="talenom_prod")`.
"""


def row(field: Field) -> str:
    place = f"`{field.name}`" if not field.is_extra else f"extra `{field.name}`"
    notes = [field.help] if field.help else []
    if field.choices:
        notes.append(f"One of {', '.join(f'`{choice}`' for choice in field.choices)}.")
    if field.required:
        notes.append("**Required.**")
    if field.kind.is_secret:
        notes.append("Secret.")
    return f"| {place} | {field.label} | {field.kind.value} | {default(field)} | {' '.join(notes)} |"


def default(field: Field) -> str:
    if field.default is None:
        return ""
    # As JSON has it, for `extra`.
    text = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    return f"`{text}`"


def section(item: ConnectionType) -> str:
    rows = "\n".join(map(row, item))
    return (
        f"\n## `{item.name}`: {item.title}\n\n"
        f"Hook `{item.hook_class}`, default connection id `{item.default_conn_id}`.\n\n"
        f"| field | in the form | kind | default | |\n|---|---|---|---|---|\n{rows}\n"
    )


if __name__ == "__main__":
    print(INTRODUCTION + "".join(map(section, CONNECTION_TYPES.values())), end="")
