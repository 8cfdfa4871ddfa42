"""Options of the HTTP server: where it listens, what a request may ask for, and how work is batched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from registry.paths import AS_PATH
from registry.shared.options import Options, Shown
from router_plugin.errors import SettingsError


class ServerOptions(Options):
    """How the HTTP server serves.

    Raises:
        SettingsError: an unknown option, or a value of another type or out of range.
    """

    error = SettingsError

    host: Annotated[
        str, Field(description="Address to listen on. Without --keys, only this machine's own can be used.")
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 for a free one.")] = 8700
    keys: Annotated[
        Path | None,
        AS_PATH,
        Field(description="File of access keys, see 'domain-router keys'."),
        Shown(default="none are needed"),
    ] = None
    feedback: Annotated[
        Path | None,
        AS_PATH,
        Field(description="JSONL file to which feedback is appended."),
        Shown(default="feedback is refused"),
    ] = None
    traffic: Annotated[
        Path | None,
        AS_PATH,
        Field(description="SQLite file in which requests and decisions are counted."),
        Shown(default="counts end with the server"),
    ] = None
    keep_queries: Annotated[
        float,
        Field(ge=0, le=400, description="Days for which queries are kept in `traffic`, with their texts; 0 for none."),
    ] = 0.0
    labelled: Annotated[
        Path | None,
        AS_PATH,
        Field(
            description="File of labelled queries, as 'routes evaluate' reads it, on which the console shows what "
            "changes of routes do."
        ),
        Shown(default="no effect is shown"),
    ] = None
    console: Annotated[
        bool,
        Field(description="Serve pages for people under /console. With --keys, they need a key with the scope admin."),
    ] = True
    data: Annotated[
        tuple[str, ...],
        Field(description="Folder of prepared data, for maps of the console, like medical=work/medical."),
        Shown(default="none", metavar="NAME=DIR"),
    ] = ()
    runs: Annotated[
        Path | None,
        AS_PATH,
        Field(description="Folder for the reports of training runs, which `train --report-to` sends."),
        Shown(default="they are refused"),
    ] = None
    keep_runs: Annotated[
        float, Field(gt=0, le=3650, description="Days for which training runs in `runs` are kept after they ended.")
    ] = 90.0
    alarm_ms: Annotated[
        float,
        Field(
            gt=0,
            description="Milliseconds from which the console's overview warns: 5 % of a path's requests took longer.",
        ),
    ] = 1000.0
    alarm_unclaimed: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Part of all decisions from which the overview warns: that of queries that no domain claims.",
        ),
    ] = 0.3
    workers: Annotated[int, Field(ge=1, le=64, description="Number of processes, each with all models.")] = 1
    threads: Annotated[
        int | None,
        Field(ge=1, description="Number of batches that a process answers at the same time."),
        Shown(default="processors by workers"),
    ] = None
    tls_certificate: Annotated[
        Path | None, AS_PATH, Field(description="PEM file of the certificate, for HTTPS."), Shown(default="HTTP")
    ] = None
    tls_key: Annotated[
        Path | None,
        AS_PATH,
        Field(description="PEM file of the certificate's private key."),
        Shown(default="in the file of the certificate"),
    ] = None
    canary: Annotated[
        tuple[str, ...],
        Field(description="Share of the requests that a domain's candidate decides, like medical=0.1."),
        Shown(default="none", metavar="NAME=SHARE"),
    ] = ()
    shadow: Annotated[
        tuple[str, ...],
        Field(description="Domain whose candidate decides everything, too, without being answered."),
        Shown(default="none", metavar="NAME"),
    ] = ()
    shadow_log: Annotated[
        Path | None,
        AS_PATH,
        Field(description="JSONL file for what champion and candidate decided, with the queries; for `shadow`."),
        Shown(default="required by --shadow"),
    ] = None
    max_body_kb: Annotated[int, Field(ge=1, description="Largest body of a request, in KB.")] = 8192
    max_texts: Annotated[int, Field(ge=1, description="Maximum number of texts in a request.")] = 2048
    max_characters: Annotated[int, Field(ge=1, description="Maximum number of characters in a request.")] = 2_000_000
    max_queue: Annotated[int, Field(ge=1, description="Number of waiting texts from which requests are refused.")] = (
        2000
    )
    batch_tokens: Annotated[
        int,
        Field(
            ge=1,
            description="Tokens that an encoder reads in one pass, about. On a GPU, more are faster; on a CPU, with "
            "fewer the next requests are read meanwhile.",
        ),
    ] = 512
    timeout_s: Annotated[float, Field(gt=0, description="Seconds after which a request is given up.")] = 30.0
    drain_s: Annotated[
        int, Field(ge=0, description="Seconds that requests may still take when the server is stopped.")
    ] = 30
    reload_s: Annotated[
        float,
        Field(
            gt=0,
            description="Seconds between two looks at the files of routes and keys, and for promoted versions at a "
            "registry that does not tell of changes.",
        ),
    ] = 0.5
    log_queries: Annotated[
        bool, Field(description="Write the texts of queries to the log, and what errors say of them.")
    ] = False
