"""``domain-router reindex``: a vector index is moved to another model, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption, RegistryOption
from router_plugin.cli.printing import print_fields, print_figures, print_json, print_table, say

if TYPE_CHECKING:
    from registry.progress import Advance
    from router_plugin.reindexing.index import Embedder, Index

app = typer.Typer(
    cls=CommandGroup, help="Move a vector index in Qdrant or pgvector to another model.", no_args_is_help=True
)

Store = Annotated[
    str,
    typer.Argument(help="Qdrant's URL, the folder of an embedded one, or postgresql://... with pgvector."),
]
Name = Annotated[str, typer.Argument(help="Qdrant's alias that readers use, or the table.")]
TextOption = Annotated[str, typer.Option(help="Field of the payload, or column, with the text.")]
VectorOption = Annotated[
    str | None, typer.Option(help="Name of the vector, or its column.", show_default="the unnamed one, or embedding")
]
ModelOption = Annotated[str, typer.Option(help="The next model: medical, medical@3 or medical@candidate.")]
ServerOption = Annotated[
    str | None, typer.Option(help="URL of a server that embeds.", show_default="the registry's model, loaded here")
]


@app.command(epilog="Example: domain-router reindex plan http://localhost:6333 docs")
def plan(
    store: Store, name: Name, text: TextOption = "text", vector: VectorOption = None, json: JsonOption = False
) -> None:
    """Show what serves, how far a move is, and the next step."""
    with _opened(store, name, text, vector) as index:
        state = index.state()
    if state.next:
        step = "compare, then cutover" if not state.missing else "backfill"
    else:
        step = "finish, or rollback" if state.before else "backfill"
    if json:
        print_json({**state._asdict(), "step": step})
        return
    fields = {field: "none" if value is None else value for field, value in state._asdict().items()}
    print_fields(name, {**fields, "next step": step})


@app.command(epilog="Example: domain-router reindex backfill http://localhost:6333 docs --model medical@3")
def backfill(
    store: Store,
    name: Name,
    model: ModelOption,
    server: ServerOption = None,
    batch: Annotated[int, typer.Option(min=1, help="Texts that are embedded at a time.")] = 64,
    text: TextOption = "text",
    vector: VectorOption = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Make the vectors of the next model beside those that serve. Run it again to go on."""
    from registry.progress import bar
    from router_plugin.reindexing import moving

    with ExitStack() as stack:
        index = stack.enter_context(_opened(store, name, text, vector))
        embedder = stack.enter_context(_embedder(model, server, registry))
        advance = stack.enter_context(bar(f"embedding {name}"))
        made = moving.backfill(index, embedder, batch, _moved_by(advance))
        state = index.state()
    if json:
        print_json({"made": made, **state._asdict()})
    else:
        say(f"{made} vectors of {state.next} made, {state.items} entries, {state.missing} missing")


@app.command(
    epilog="Example: domain-router reindex compare http://localhost:6333 docs --serving medical@2 --model medical@3 "
    "--queries queries.jsonl"
)
def compare(
    store: Store,
    name: Name,
    serving: Annotated[str, typer.Option(help="The model whose vectors serve, as with --model.")],
    model: ModelOption,
    queries: Annotated[
        Path,
        typer.Option(
            parser=named_path,
            metavar=PATH,
            help="File of queries in a column text; a column relevant may hold the ids of the right answers.",
        ),
    ],
    k: Annotated[int, typer.Option(min=1, help="Results to compare.")] = 10,
    server: ServerOption = None,
    text: TextOption = "text",
    vector: VectorOption = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Ask both sides the same queries: how many results they share, recall, and the largest differences."""
    from router_plugin.reindexing import moving
    from router_plugin.reindexing.queries import read_queries

    asked, relevant = read_queries(queries)
    with ExitStack() as stack:
        index = stack.enter_context(_opened(store, name, text, vector))
        old = stack.enter_context(_embedder(serving, server, registry))
        new = stack.enter_context(_embedder(model, server, registry))
        found = moving.compare(index, old, new, asked, relevant, k)
    if json:
        print_json(asdict(found))
        return
    recall = {f"recall of {side}": value for side, value in (found.recall or {}).items()}
    print_figures(name, {"queries": found.queries, f"overlap@{k}": found.overlap, "judged": found.judged, **recall})
    rows = [(each.query, each.overlap, "; ".join(each.serving), "; ".join(each.next)) for each in found.differences]
    print_table("largest differences", ("query", "overlap", f"only {serving}", f"only {model}"), rows)


@app.command(epilog="Example: domain-router reindex cutover http://localhost:6333 docs")
def cutover(
    store: Store, name: Name, text: TextOption = "text", vector: VectorOption = None, json: JsonOption = False
) -> None:
    """Serve the vectors of the next model, in one step. Readers must embed queries with it from then on."""
    with _opened(store, name, text, vector) as index:
        index.cut_over()
        state = index.state()
    if json:
        print_json(state._asdict())
    else:
        say(f"{name} is served by {state.serving}; what served before is kept: finish removes it, rollback restores it")


@app.command(epilog="Example: domain-router reindex rollback http://localhost:6333 docs")
def rollback(
    store: Store,
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Also if the earlier side lacks what was written since.")
    ] = False,
    text: TextOption = "text",
    vector: VectorOption = None,
    json: JsonOption = False,
) -> None:
    """Serve the earlier vectors again; before a cutover, remove those of the next model."""
    with _opened(store, name, text, vector) as index:
        said = index.roll_back(force)
        state = index.state()
    if json:
        print_json({**state._asdict(), "done": said})
    else:
        say(said)


@app.command(epilog="Example: domain-router reindex finish http://localhost:6333 docs")
def finish(
    store: Store, name: Name, text: TextOption = "text", vector: VectorOption = None, json: JsonOption = False
) -> None:
    """Remove the vectors that served before the cutover."""
    with _opened(store, name, text, vector) as index:
        index.finish()
        state = index.state()
    if json:
        print_json(state._asdict())
    else:
        say(f"{name} has only the vectors of {state.serving}")


@contextmanager
def _opened(store: str, name: str, text: str, vector: str | None) -> Iterator[Index]:
    from router_plugin.cli.opening import check_installed

    if store.startswith(("postgresql://", "postgres://")):
        check_installed("pgvector", "psycopg")
        from router_plugin.reindexing.opening import open_pgvector

        with open_pgvector(store, name, text, vector or "embedding") as index:
            yield index
        return
    check_installed("qdrant", "qdrant_client")
    from router_plugin.reindexing.opening import open_qdrant

    with open_qdrant(store, name, text, vector or "") as found:
        yield found


@contextmanager
def _embedder(model: str, server: str | None, registry: str | None) -> Iterator[Embedder]:
    from router_plugin.reindexing.embedders import RegistryEmbedder, ServerEmbedder

    if server is None:
        yield RegistryEmbedder(model, registry)
        return
    from router_plugin.client import DomainRouterClient

    with DomainRouterClient(server) as client:
        yield ServerEmbedder(client, model)


def _moved_by(advance: Advance) -> Callable[[int, int], None]:
    """Moves a bar to the number of entries that are done."""
    known = 0

    def move(done: int, of: int) -> None:
        nonlocal known
        advance(done - known, of)
        known = done

    return move
