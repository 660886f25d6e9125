"""The options of Airflow's ``[finauth]`` configuration section, declared once.

Plain data without imports: Airflow reads it, through ``get_provider_info``, in every one of its processes.
:mod:`airflow_provider_finauth.runtime.config` reads the values.
"""

SECTION = "finauth"

CONFIG_OPTIONS: dict[str, dict[str, str | bool | None]] = {
    "token_store": {
        "description": (
            "Where tokens are kept so that other tasks find them: ``variable`` (Airflow's metadata "
            "database), ``sql`` (a PostgreSQL of yours), ``redis``, ``file:///path/to/folder`` (one "
            "machine), or ``memory`` (one process). ``sql`` and ``redis`` want ``token_store_conn_id`` and "
            "``store_key``."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "file:///var/lib/airflow/finauth",
        "default": "variable",
    },
    "token_store_conn_id": {
        "description": (
            "The Airflow connection that says where the token store is: of type ``postgres`` for ``sql``, of "
            "type ``redis`` for ``redis``. The other stores need none."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "finauth_tokens",
        "default": "",
    },
    "store_key": {
        "description": (
            "The key that encrypts stored tokens, the same on all machines. ``sql`` and ``redis`` cannot do "
            "without. Unset, ``variable`` keeps a random key in the Variable ``finauth_token_key``, and "
            "``file`` uses ``[core] fernet_key``."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": None,
        "default": "",
        "sensitive": True,
    },
    "max_xcom_records": {
        "description": "How many records an operator may return to XCom; more must go to a file.",
        "version_added": "0.1.0",
        "type": "integer",
        "example": None,
        "default": "10000",
    },
    "max_xcom_bytes": {
        "description": "How many bytes of JSON an operator may return to XCom; more must go to a file.",
        "version_added": "0.1.0",
        "type": "integer",
        "example": None,
        "default": "2000000",
    },
    "max_response_bytes": {
        "description": "How many bytes one answer of an API may have.",
        "version_added": "0.1.0",
        "type": "integer",
        "example": None,
        "default": "67108864",
    },
    "lock_dir": {
        "description": (
            "The folder of the lock files that keep the processes of a machine from asking for one token "
            "twice. Unset, ``finauth-<user id>`` in the folder for temporary files. Containers of one "
            "machine should share it."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "/var/lock/finauth",
        "default": "",
    },
    "lock_timeout": {
        "description": "How many seconds a task waits for another one that is asking for the same token.",
        "version_added": "0.1.0",
        "type": "float",
        "example": None,
        "default": "120",
    },
}
