"""Protected aliases: moved only by members of a role, which PostgreSQL enforces, or by who has the key."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from registry import Mover, Registry
from registry.errors import GateError, NotPermittedError, PolicyError
from registry.policies.policy import Guard, Policy
from registry.store import KEY_VARIABLE
from tests.conftest import ROOT
from tests.docs.pages import blocks
from tests.registry.gates.samples import publish
from tests.registry.samples import make_record, write_model
from tests.registry.servers import new_database
from tests.registry.signing.keys import make_keys

BY_ROLE = Policy(protected={"champion": Guard(role="release")})
BY_KEY = Policy(protected={"champion": Guard(key="release")})

FORBIDDEN = (
    "UPDATE aliases SET version = 2 WHERE alias = 'champion'",
    "DELETE FROM aliases WHERE alias = 'champion'",
    "UPDATE aliases SET alias = 'champion' WHERE alias = 'candidate'",
    "UPDATE aliases SET alias = 'old' WHERE alias = 'champion'",
    "INSERT INTO policies VALUES ('medical', '{}', now(), 'bob')",
    "UPDATE policies SET policy = '{}'",
    "UPDATE policies SET domain = 'law'",
    "DELETE FROM policies",
    "DELETE FROM protected_aliases",
    "UPDATE protected_aliases SET role = 'pg_database_owner'",
    "UPDATE protected_aliases SET alias = 'other'",
    "INSERT INTO protected_aliases VALUES ('', 'candidate', 'release')",
    "CREATE TEMP TABLE protected_aliases (domain text, alias text, role text); DELETE FROM aliases",
    "CREATE TEMP TABLE policies (domain text); INSERT INTO pg_temp.policies VALUES ('medical'); DELETE FROM aliases",
    "TRUNCATE aliases",
    "TRUNCATE policies",
    "TRUNCATE protected_aliases",
    "UPDATE alias_moves SET author = 'alice'",
    "DELETE FROM alias_moves",
    "TRUNCATE alias_moves",
    "UPDATE model_versions SET record = '{}'",
    "ALTER TABLE aliases DISABLE TRIGGER ALL",
)


class Team(NamedTuple):
    """One registry, as its owner opens it, as a member of the role ``release``, and as somebody else."""

    owner: Registry
    alice: Registry
    bob: Registry
    database: str


@pytest.fixture
def team(postgresql, tmp_path) -> Iterator[Team]:
    """Two users with the rights that the documentation gives a team; the passwords are none: a socket is trusted."""
    names = {name: f"{name}_{secrets.token_hex(4)}" for name in ("alice", "bob")}
    artifacts = f"&artifacts={tmp_path}/artifacts"
    with new_database(postgresql) as url:
        owner = Registry.open(url + artifacts)
        owner.create()
        _grant(url, names.values(), names["alice"])
        alice, bob = (Registry.open(url.replace("//postgres@", f"//{name}@", 1) + artifacts) for name in names.values())
        yield Team(owner, alice, bob, url.replace("//postgres@", f"//{names['bob']}@", 1))
        for each in (owner, alice, bob):
            each.close()


def _grant(url: str, users: Iterable[str], member: str) -> None:
    grants = next(block for block in blocks("gates", "sql") if "GRANT" in block)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = 'release'")).scalar():
            connection.execute(text("CREATE ROLE release"))
        for name in users:
            connection.execute(text(f"CREATE ROLE {name} LOGIN"))
            connection.execute(text(grants.replace("team", name)))
        connection.execute(text(f"GRANT release TO {member}"))
    engine.dispose()


@pytest.fixture
def protected(team, tmp_path) -> Team:
    """Two versions, of which the first is the champion; the alias is protected by the role."""
    for _ in range(2):
        publish(team.bob, tmp_path)
    team.alice.policies.set(BY_ROLE)
    return team


def test_only_members_of_the_role_move_the_alias(protected: Team, tmp_path: Path):
    with pytest.raises(NotPermittedError, match="only members of the role release"):
        protected.bob.promote("medical")
    with pytest.raises(NotPermittedError):
        protected.bob.promote("medical", "in a hurry", force=True)
    assert protected.bob.aliases("medical") == {"champion": 1, "candidate": 2}
    assert protected.alice.promote("medical").version == 2
    with pytest.raises(NotPermittedError):
        protected.bob.rollback("medical")
    assert protected.alice.rollback("medical").version == 1
    assert " as alice_" in protected.bob.history("medical")[-1].author
    assert publish(protected.bob, tmp_path).version == 3, "whoever may publish still may"


def test_only_members_change_the_policy_or_put_another_one_in_its_place(protected: Team):
    for domain in (None, "medical"):
        with pytest.raises(NotPermittedError):
            protected.bob.policies.set(Policy(), domain)
    with pytest.raises(NotPermittedError):
        protected.bob.policies.remove()
    protected.alice.policies.set(Policy(), "medical")
    assert protected.bob.promote("medical").version == 2, "the policy of the domain protects nothing"


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_database_itself_refuses_what_goes_round_the_program(protected: Team, statement):
    before = (protected.owner.aliases("medical"), protected.owner.history("medical"), protected.owner.policies.all())
    engine = create_engine(protected.database)
    with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="only members of the role|permission denied|must be owner|append-only"):
            for each in statement.split(";"):
                connection.exec_driver_sql(each)
        connection.rollback()
    engine.dispose()
    assert before == (
        protected.owner.aliases("medical"),
        protected.owner.history("medical"),
        protected.owner.policies.all(),
    )


def test_the_owner_of_the_tables_does_not_rewrite_history_by_mistake_either(protected: Team):
    for statement in ("UPDATE alias_moves SET author = 'x'", "DELETE FROM alias_moves", "TRUNCATE alias_moves"):
        with protected.owner._store.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.exec_driver_sql(statement)


def test_nobody_locks_himself_out(team: Team):
    with pytest.raises(NotPermittedError, match="you are no member of the role release"):
        team.bob.policies.set(BY_ROLE)
    for registry, guard, said in (
        (team.alice, Guard(role="nobody-has-it"), "no role nobody-has-it"),
        (team.alice, Guard(key="unknown"), "no key unknown"),
    ):
        with pytest.raises(PolicyError, match=said):
            registry.policies.set(Policy(protected={"champion": guard}))
    assert team.owner.policies.all() == []


def test_a_role_is_refused_where_the_database_has_no_users(tmp_path):
    with pytest.raises(PolicyError, match="no roles: protect the alias with a key"):
        Registry.open(str(tmp_path / "registry")).policies.set(BY_ROLE)


def test_a_key_opens_what_it_protects_and_nothing_else_does(registry: Registry, registry_url, tmp_path, monkeypatch):
    for _ in range(2):
        publish(registry, tmp_path)
    keys = {name: registry.policies.add_key(name) for name in ("release", "other")}
    registry.policies.set(BY_KEY)
    for key, said in ((None, "no key was given"), (keys["other"], "is another one"), ("\udc80ü", "is another one")):
        if key:
            registry.use_key(key)
        for change in (
            lambda: registry.promote("medical"),
            lambda: registry.promote("medical", "in a hurry", force=True),
            lambda: registry.policies.set(Policy()),
            lambda: registry.policies.set(Policy(), "medical"),
            registry.policies.remove,
        ):
            with pytest.raises(NotPermittedError, match=f"protected by the key release, .*{said}.*{KEY_VARIABLE}"):
                change()
    assert registry.aliases("medical") == {"champion": 1, "candidate": 2}
    monkeypatch.setenv(KEY_VARIABLE, keys["release"])
    opened = Registry.open(registry_url)
    assert opened.promote("medical").version == 2
    assert opened.policies.remove()
    opened.close()


def test_who_moves_through_a_server_needs_the_key_and_not_the_server(registry: Registry, tmp_path):
    for _ in range(2):
        publish(registry, tmp_path)
    secret = registry.policies.add_key("release")
    registry.policies.set(BY_KEY)
    registry.use_key(secret)
    mover = Mover("anna", secret)
    for change, version in ((registry.promote, 2), (registry.rollback, 1)):
        with pytest.raises(NotPermittedError, match="no key was given"):
            change("medical", mover=Mover("anna"))
        assert change("medical", mover=mover).version == version
    assert secret not in repr(mover) and secret not in str(registry.history("medical"))


def test_a_key_is_kept_as_a_digest_alone_and_once(registry: Registry):
    secret = registry.policies.add_key("release")
    assert len(secret) > 40
    with registry._store.engine.connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM keys")).all()
    assert secret not in str(row) and list(registry.policies.keys()) == ["release"]
    with pytest.raises(PolicyError, match="a key release already"):
        registry.policies.add_key("release")
    registry.policies.set(BY_KEY)
    with pytest.raises(PolicyError, match="policy of the registry names the key release"):
        registry.policies.remove_key("release")
    registry.use_key(secret)
    registry.policies.remove()
    registry.policies.remove_key("release")
    with pytest.raises(PolicyError, match="no key release"):
        registry.policies.remove_key("release")


def test_a_protected_candidate_is_published_only_with_the_key(registry: Registry, tmp_path):
    folder = write_model(tmp_path / "model")
    secret = registry.policies.add_key("release")
    registry.policies.set(Policy(protected={"candidate": Guard(key="release")}))
    with pytest.raises(NotPermittedError):
        registry.publish(folder, make_record())
    assert registry.versions() == []
    registry.use_key(secret)
    registry.publish(folder, make_record())
    assert registry.aliases("medical") == {"candidate": 1}


def test_who_has_the_key_still_needs_what_the_policy_demands(registry: Registry, tmp_path):
    for _ in range(2):
        publish(registry, tmp_path)
    registry.use_key(registry.policies.add_key("release"))
    registry.policies.set(BY_KEY.model_copy(update={"max_dimension": 8}))
    with pytest.raises(GateError):
        registry.promote("medical")


def test_a_protected_candidate_is_retired_with_the_key(registry: Registry, tmp_path):
    for _ in range(2):
        publish(registry, tmp_path)
    secret = registry.policies.add_key("release")
    registry.policies.set(Policy(protected={"candidate": Guard(key="release")}))
    with pytest.raises(NotPermittedError):
        registry.retire("medical@2")
    registry.use_key(secret)
    registry.retire("medical@2")
    assert registry.aliases("medical") == {"champion": 1}


def test_the_grants_of_the_documentation_allow_a_member_everything_but_what_is_protected(team: Team, tmp_path):
    pytest.importorskip("model_signing")
    bob, (private, _) = team.bob, make_keys(tmp_path / "keys", "release")
    for _ in range(3):
        publish(bob, tmp_path)
    bob.alias("medical@2", "staging", "to try it")
    bob.remove_alias("medical", "staging")
    for _ in range(2):
        bob.signatures.sign(bob.get("medical@2"), private)
    bob.exchange.export_file(bob.get("medical@2"), tmp_path / "medical.tar")
    imported, _ = bob.exchange.import_file(tmp_path / "medical.tar", force=True)
    assert bob.signatures.of(imported)
    bob.retire(imported.name)
    bob.undo_retirement(imported.name)
    bob.delete("medical@3")
    bob.restore("medical@3")
    bob.delete("medical@3", grace_days=0)
    assert bob.collect().versions == ["medical@3"]
    key = bob.policies.add_key("release")
    bob.policies.set(Policy(max_dimension=1000, protected={"staging": Guard(key="release")}))
    bob.use_key(key)
    bob.policies.remove()
    bob.policies.remove_key("release")
    bob.webhooks.add("index", "http://127.0.0.1:9/hook", "HOOK_SECRET")
    bob.promote("medical@2")
    bob.rollback("medical")
    bob.webhooks.deliver()
    bob.webhooks.remove("index")


def test_the_grants_of_the_documentation_name_every_table():
    from registry.storage.tables import metadata

    page = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    assert [name for name in metadata.tables if name not in page] == []
