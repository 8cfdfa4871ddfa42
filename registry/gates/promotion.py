"""Promotes a version: the policy decides on what is the champion at that very moment, and the history keeps why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from registry.aliasing.moves import Reason, aliased, check_champion, move
from registry.aliasing.standing import check_alive, promotable
from registry.catalog.versions import find
from registry.errors import DamagedArtifactError, GateError
from registry.gates.query_metrics import FILE_NAME, parse_query_metrics
from registry.gates.verdicts import Case, Measured, Verdict, verdicts
from registry.names import CANDIDATE, CHAMPION, Reference
from registry.policies.policy import Policy
from registry.policies.stored import policy_of
from registry.records import ModelVersion
from registry.signing.stored import kept_signature
from registry.storage.database import reading, write
from registry.storage.local_store import ArtifactStore


class Decision(NamedTuple):
    """What the gate says of a version, and what it looked at."""

    champion: int | None
    policy: Policy | None
    verdicts: tuple[Verdict, ...]

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The lines that the version does not hold."""
        return tuple(verdict for verdict in self.verdicts if not verdict.passed)


@dataclass(frozen=True)
class Request:
    """How a version is promoted.

    Attributes:
        why: for the history.
        force: against the policy, which needs a reason.
        announce_vector_space: whether the vector space changes in kind on purpose.
        key: that opens protected aliases.
        mover: see :class:`registry.aliasing.moves.Reason`.
        replacing: number of the champion that is to be replaced; 0 for none, None where it may be any.
    """

    why: str | None = None
    force: bool = False
    announce_vector_space: bool = False
    key: str | None = field(default=None, repr=False)
    mover: str | None = None
    replacing: int | None = None


class Promotion(NamedTuple):
    """The champion before, and what the gate said."""

    previous: int | None
    decision: Decision


def decide(engine: Engine, store: ArtifactStore, version: ModelVersion, announced: bool = False) -> Decision:
    """What the policy says of a version, without moving anything.

    Raises:
        DamagedArtifactError: the metrics of a version's single queries cannot be read.
        PolicyError: a newer version wrote the policy.
    """
    with reading(engine) as connection:
        return _decide(connection, store, version, announced)


def promote(engine: Engine, store: ArtifactStore, version: ModelVersion, request: Request) -> Promotion:
    """Make a version the champion of its domain, if the policy lets it or it is forced.

    It is decided before others are kept from writing, which may take a while, and once more if the champion or the
    policy has changed since.

    Raises:
        GateError: the version does not hold what the policy demands, or was retired; or it is forced without a reason.
        NotPermittedError: the alias is protected from this user.
        ChangedError: the champion is neither the one to be replaced nor this version.
    """
    if request.force and not (request.why and request.why.strip()):
        raise GateError("`force` needs `why`: the history keeps the reason", version.name)
    first = decide(engine, store, version, request.announce_vector_space)
    _check(version, first, request)

    def make_champion(connection: Connection) -> Promotion:
        decision = first
        if _circumstances(connection, version) != (first.champion, first.policy, None):
            decision = _decide(connection, store, version, request.announce_vector_space)
            _check(version, decision, request)
        if decision.champion != version.version:
            check_champion(connection, version.domain, request.replacing)
        gate = [verdict.model_dump() for verdict in decision.verdicts]
        forced = request.force and bool(decision.failed)
        reason = Reason("promote", request.why, gate, forced, request.key, request.mover)
        move(connection, version.domain, CHAMPION, version.version, reason)
        if aliased(connection, version.domain, CANDIDATE) == version.version:
            candidate_reason = Reason("promote", request.why, key=request.key, mover=request.mover)
            move(connection, version.domain, CANDIDATE, None, candidate_reason)
        return Promotion(decision.champion, decision)

    return write(engine, make_champion)


def _decide(connection: Connection, store: ArtifactStore, version: ModelVersion, announced: bool) -> Decision:
    number, policy, retired = _circumstances(connection, version)
    champion = find(connection, Reference(version.domain, number)) if number else None

    def measured(of: ModelVersion) -> Measured:
        file = next((file for file in of.files if file.path == FILE_NAME), None)
        try:
            return parse_query_metrics(store.read(of.artifact, file), of.name) if file else {}
        except DamagedArtifactError as error:
            raise DamagedArtifactError(f"{of.name}: {error}") from error

    def signature() -> str | None:
        return kept_signature(connection, version.domain, version.version)

    found = verdicts(policy, Case(version, champion, measured, signature, announced)) if policy else []
    if retired:
        found.insert(0, Verdict(rule="retired", passed=False, text=retired))
    return Decision(number, policy, tuple(found))


def _check(version: ModelVersion, decision: Decision, request: Request) -> None:
    if decision.champion == version.version:
        return
    if any(verdict.rule == "retired" for verdict in decision.failed):
        raise GateError(f"{version.name} is not promoted: {decision.failed[0].text}", version.name, decision.verdicts)
    if decision.failed and not request.force:
        lines = "; ".join(f"{verdict.rule}: {verdict.text}" for verdict in decision.failed)
        raise GateError(
            f"{version.name} is not promoted: {len(decision.failed)} of {len(decision.verdicts)} lines of the policy "
            f"fail: {lines}. To promote it all the same, give `force` and `why`",
            version.name,
            decision.verdicts,
        )


def _circumstances(connection: Connection, version: ModelVersion) -> tuple[int | None, Policy | None, str | None]:
    """What a decision depends on: the champion, the policy, and whether the version was retired."""
    return (
        aliased(connection, version.domain, CHAMPION),
        policy_of(connection, version.domain),
        _retired(connection, version),
    )


def _retired(connection: Connection, version: ModelVersion) -> str | None:
    """That a version was retired, and how to undo that; None if it may be promoted.

    Raises:
        NotRegisteredError: it was deleted.
    """
    check_alive(connection, version.domain, version.version)
    if version.version in promotable(connection, version.domain):
        return None
    return f"it was retired: 'models retire {version.name} --undo' lets it be promoted again"
