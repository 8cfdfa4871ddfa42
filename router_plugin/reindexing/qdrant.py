"""An index in Qdrant: a collection for each model, and aliases that say which one serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from qdrant_client import QdrantClient, models

from router_plugin.errors import ReindexError
from router_plugin.reindexing.index import Found, Item, State, Vectors

if TYPE_CHECKING:
    from qdrant_client.conversions.common_types import PointId

NEXT, BEFORE = "next", "before"
_PAGE = 256


class QdrantIndex:
    """A collection that is served by an alias.

    ``docs`` is the alias that readers use. While a move is under way, ``docs__next`` names the collection that is being
    filled, and after the cutover ``docs__before`` the one that served. Each request changes aliases in one step.
    """

    def __init__(self, client: QdrantClient, alias: str, text: str = "text", vector: str = "") -> None:
        """
        Args:
            client: connected.
            alias: that readers use.
            text: field of the payload with the text; dots lead into nested fields.
            vector: name of the vector; empty for the unnamed one.

        Raises:
            ReindexError: the alias does not exist, or is a collection itself.
        """
        self._client, self._alias, self._text, self._vector = client, alias, text, vector
        if alias not in self._aliases():
            kind = "a collection, which cannot be switched" if client.collection_exists(alias) else "unknown"
            raise ReindexError(f"{alias} is {kind}: create an alias for the collection, and let readers use that")

    def state(self) -> State:
        """See :class:`Index`."""
        aliases = self._aliases()
        serving, upcoming, before = (self._model(aliases.get(self._role(role))) for role in ("", NEXT, BEFORE))
        missing = sum(map(len, self.waiting(_PAGE))) + len(self._removed()) if upcoming else None
        items = self._client.count(aliases[self._alias], exact=True).count
        return State(None if serving == "unknown" else serving, upcoming, before, items, missing)

    def prepare(self, model: str, dimension: int) -> None:
        """See :class:`Index`."""
        aliases, name = self._aliases(), self._collection(model)
        if aliases[self._alias] == name:
            raise ReindexError(f"{self._alias} is served by {model} already")
        if (other := aliases.get(self._role(NEXT))) not in (None, name):
            raise ReindexError(f"a move to {self._model(other)} is under way: cut over, or roll back, first")
        if left := aliases.get(self._role(BEFORE)):
            raise ReindexError(f"{left}, which served before, is still there: finish, or roll back, first")
        info = self._client.get_collection(aliases[self._alias])
        if info.config.params.sparse_vectors:
            raise ReindexError(f"{aliases[self._alias]} has sparse vectors, which no model here makes")
        params = self._params(info.config.params.vectors, dimension)
        if not self._client.collection_exists(name):
            self._client.create_collection(name, vectors_config=params, **_settings(info.config))
        elif self._client.get_collection(name).config.params.vectors != params:
            raise ReindexError(f"collection {name} exists with other vectors: remove it, or choose another alias")
        for field, schema in info.payload_schema.items():
            self._client.create_payload_index(name, field, schema.params or schema.data_type)
        self._change(self._create(NEXT, name))

    def waiting(self, batch: int) -> Iterator[list[Item]]:
        """See :class:`Index`.

        Raises:
            ReindexError: an entry has no text.
        """
        target = self._named(NEXT)
        for points in self._pages(self._named(""), batch):
            if items := [self._item(point) for point in self._differing(points, target)]:
                yield items

    def write(self, items: Sequence[Item], vectors: Vectors) -> None:
        """See :class:`Index`. What changed in between is found by the next look at what waits."""
        self._put(self._named(NEXT), items, vectors)

    def complete(self) -> None:
        """Remove what was removed from the serving collection."""
        name, gone = self._named(NEXT), self._removed()
        for start in range(0, len(gone), _PAGE):
            self._client.delete(name, gone[start : start + _PAGE])

    def search(self, vector: Vectors, limit: int, upcoming: bool) -> list[Found]:
        """See :class:`Index`."""
        name = self._named(NEXT if upcoming else "")
        found = self._client.query_points(name, query=vector.tolist(), using=self._vector or None, limit=limit).points
        return [Found(point.id, self._text_of(point.payload) or "") for point in found]

    def upsert(self, items: Sequence[Item], by_model: Mapping[str, Vectors], others: Vectors | None) -> None:
        """See :class:`Index`. Collections are addressed by their own names, so that a cutover changes nothing."""
        aliases = self._aliases()
        for name in {aliases[each] for each in map(self._role, ("", NEXT, BEFORE)) if each in aliases}:
            vectors = by_model.get(self._model(name) or "", others)
            if vectors is None:
                raise ReindexError(f"there are no vectors for {name}: expected a model for each side")
            self._put(name, items, vectors)

    def delete(self, ids: Sequence[Any]) -> None:
        """See :class:`Index`."""
        aliases = self._aliases()
        for name in {aliases[each] for each in map(self._role, ("", NEXT, BEFORE)) if each in aliases}:
            self._client.delete(name, list(ids))

    def cut_over(self) -> None:
        """See :class:`Index`.

        Raises:
            ReindexError: there is no move, or entries are missing.
        """
        serving, upcoming = self._named(""), self._named(NEXT)
        if missing := self.state().missing:
            raise ReindexError(f"{missing} entries have no vector of {self._model(upcoming)} yet: run backfill again")
        self._change(
            *(self._delete(""), self._create("", upcoming), self._delete(NEXT)),
            self._create(BEFORE, serving),
        )

    def roll_back(self, force: bool) -> str:
        """See :class:`Index`.

        Raises:
            ReindexError: there is nothing to go back to, or it lacks what was written since.
        """
        aliases = self._aliases()
        serving = aliases[self._alias]
        if upcoming := aliases.get(self._role(NEXT)):
            self._change(self._delete(NEXT))
            self._client.delete_collection(upcoming)
            return f"gave up the move to {self._model(upcoming)}; {serving} served all the time"
        before = self._named(BEFORE)
        lacking = sum(len(self._differing(points, before)) for points in self._pages(serving, _PAGE))
        if lacking and not force:
            raise ReindexError(
                f"{before} lacks {lacking} entries that were written since: `force` goes back all the same"
            )
        self._change(
            *(self._delete(""), self._create("", before), self._delete(BEFORE)),
            self._create(NEXT, serving),
        )
        return f"{before} serves again; {serving} is kept: cut over again, or roll back again to remove it"

    def finish(self) -> None:
        """See :class:`Index`.

        Raises:
            ReindexError: nothing is left of a move.
        """
        before = self._named(BEFORE)
        self._change(self._delete(BEFORE))
        self._client.delete_collection(before)

    def _aliases(self) -> dict[str, str]:
        return {each.alias_name: each.collection_name for each in self._client.get_aliases().aliases}

    def _role(self, role: str) -> str:
        return f"{self._alias}__{role}" if role else self._alias

    def _named(self, role: str) -> str:
        """The collection in a role."""
        name = self._aliases().get(self._role(role))
        if name is None:
            what = "no move is under way: run backfill" if role == NEXT else "no earlier collection is left"
            raise ReindexError(f"{self._alias}: {what}")
        return name

    def _collection(self, model: str) -> str:
        return f"{self._alias}__of__{quote(model, safe='@')}"

    def _model(self, collection: str | None) -> str | None:
        if collection is None:
            return None
        prefix = f"{self._alias}__of__"
        return unquote(collection.removeprefix(prefix)) if collection.startswith(prefix) else "unknown"

    def _params(self, vectors: Any, dimension: int) -> Any:
        """The parameters of the serving vectors with another dimension."""
        if isinstance(vectors, dict):
            if self._vector not in vectors or len(vectors) > 1:
                raise ReindexError(f"expected one vector, named {self._vector!r}; there are {', '.join(vectors)}")
            return {self._vector: vectors[self._vector].model_copy(update={"size": dimension})}
        if self._vector or vectors is None:
            raise ReindexError(f"there is no vector named {self._vector!r}")
        return vectors.model_copy(update={"size": dimension})

    def _pages(self, collection: str, limit: int, with_payload: bool = True) -> Iterator[list[models.Record]]:
        offset: PointId | None = None
        while True:
            points, offset = self._client.scroll(
                collection, limit=limit, offset=offset, with_payload=with_payload, with_vectors=False
            )
            if points:
                yield points
            if offset is None:
                return

    def _differing(self, points: Sequence[models.Record], collection: str) -> list[models.Record]:
        """The points that a collection does not have, or has with another payload."""
        known = {each.id: each.payload for each in self._client.retrieve(collection, [point.id for point in points])}
        return [point for point in points if point.id not in known or known[point.id] != point.payload]

    def _removed(self) -> list[Any]:
        """Ids that the next collection has and the serving one has not."""
        serving, gone = self._named(""), []
        for points in self._pages(self._named(NEXT), _PAGE, with_payload=False):
            ids = [point.id for point in points]
            kept = {each.id for each in self._client.retrieve(serving, ids, with_payload=False)}
            gone += [each for each in ids if each not in kept]
        return gone

    def _item(self, point: models.Record) -> Item:
        text = self._text_of(point.payload)
        if not text:
            raise ReindexError(f"entry {point.id} has no text in {self._text!r}, so that it cannot be embedded")
        return Item(point.id, text, point.payload or {})

    def _text_of(self, payload: Mapping[str, Any] | None) -> str | None:
        value: Any = payload
        for part in self._text.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) else None

    def _put(self, collection: str, items: Sequence[Item], vectors: Vectors) -> None:
        points = [
            models.PointStruct(
                id=item.id,
                vector={self._vector: vector.tolist()} if self._vector else vector.tolist(),
                payload=dict(item.payload),
            )
            for item, vector in zip(items, vectors, strict=True)
        ]
        self._client.upsert(collection, points, wait=True)

    def _create(self, role: str, collection: str) -> models.CreateAliasOperation:
        made = models.CreateAlias(collection_name=collection, alias_name=self._role(role))
        return models.CreateAliasOperation(create_alias=made)

    def _delete(self, role: str) -> models.DeleteAliasOperation:
        return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self._role(role)))

    def _change(self, *operations: models.CreateAliasOperation | models.DeleteAliasOperation) -> None:
        self._client.update_collection_aliases(change_aliases_operations=list(operations))


def _settings(config: models.CollectionConfig) -> dict[str, Any]:
    """What else a collection was made with, for one like it."""
    params = config.params
    return {
        "hnsw_config": models.HnswConfigDiff(**config.hnsw_config.model_dump()),
        "quantization_config": config.quantization_config,
        "shard_number": params.shard_number,
        "replication_factor": params.replication_factor,
        "write_consistency_factor": params.write_consistency_factor,
        "on_disk_payload": params.on_disk_payload,
    }
