"""Locations of registries: folders, URLs, the environment, mistakes in them, and passwords that stay secret."""

from pathlib import Path

import pytest

from registry import NotRegisteredError, Registry, RegistryError
from registry.storage.location import VARIABLE, check_exists, locate
from tests.registry.samples import make_record, write_model
from tests.registry.servers import new_database

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder of the test's own, and no registry in the environment."""
    monkeypatch.delenv("DOMAIN_ROUTER_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "home"


@pytest.fixture
def vault(tmp_path, postgresql):
    """The URL of an empty registry that a password is in."""
    with new_database(postgresql) as url:
        database, _, server = url.partition("@")
        yield f"{database}:{SECRET}@{server}&artifacts={tmp_path}/models"


def test_a_folder_holds_database_and_artifacts(tmp_path):
    for url in (str(tmp_path), tmp_path, f"file://{tmp_path}"):
        location = locate(url)
        assert location.database.get_backend_name() == "sqlite"
        assert location.database.database == str(tmp_path / "registry.db")
        assert location.artifacts == str(tmp_path / "artifacts")


def test_a_relative_folder_starts_at_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("registry").database.database == str(tmp_path / "registry" / "registry.db")
    registry = Registry.open("registry")
    monkeypatch.chdir("/")
    assert registry.publish(write_model(tmp_path / "model"), make_record()).version == 1


def test_a_tilde_is_the_home_folder(home):
    assert locate("~/models").artifacts == str(home / "models" / "artifacts")
    assert locate("file://~/models").artifacts == str(home / "models" / "artifacts")


@pytest.mark.parametrize("url", ["~nobody-here/models", "file://~nobody-here/models"])
def test_an_unknown_home_folder_is_refused_by_name(url):
    with pytest.raises(RegistryError, match="registry .*~nobody-here/models: there is no user nobody-here"):
        locate(url)


def test_a_file_url_may_have_its_special_characters_escaped(tmp_path):
    (tmp_path / "my models").mkdir()
    assert locate((tmp_path / "my models").as_uri()).artifacts == str(tmp_path / "my models" / "artifacts")


def test_a_folder_may_have_any_characters(tmp_path):
    folder = write_model(tmp_path / "model")
    for name in ("my models", "100%", "a?b=c", "a#b", "grüße", "a@b:c"):
        registry = Registry.open(str(tmp_path / name))
        version = registry.publish(folder, make_record())
        assert registry.fetch(version).parent == tmp_path / name / "artifacts"
        assert (tmp_path / name / "registry.db").is_file()


def test_a_database_url_says_where_the_artifacts_are(home):
    location = locate("postgresql+psycopg://user@db:5432/models?sslmode=require&artifacts=s3://bucket/models")
    assert location.artifacts == "s3://bucket/models"
    assert location.database.host == "db" and location.database.query == {"sslmode": "require"}


def test_without_a_url_the_environment_decides_and_then_the_home_folder(home, tmp_path, monkeypatch):
    for url in (None, ""):
        assert locate(url).artifacts == str(home / ".domain-router" / "registry" / "artifacts")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shared"))
    assert locate(None).artifacts == str(tmp_path / "shared" / "artifacts")
    assert locate(str(tmp_path / "own")).artifacts == str(tmp_path / "own" / "artifacts")
    monkeypatch.setenv(VARIABLE, "")
    assert locate(None).artifacts == str(home / ".domain-router" / "registry" / "artifacts")


def test_the_environment_variable_opens_that_registry(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shared"))
    Registry.open().publish(write_model(tmp_path / "model"), make_record())
    assert Registry.open(str(tmp_path / "shared")).get("medical").version == 1


@pytest.mark.parametrize("way", ["argument", "variable"])
def test_a_registry_that_is_to_be_read_must_exist_however_it_is_named(tmp_path, monkeypatch, way):
    monkeypatch.chdir(tmp_path)
    if way == "variable":
        monkeypatch.setenv(VARIABLE, "typo")
    with pytest.raises(RegistryError, match="typo.*: no registry found") as error:
        check_exists("typo" if way == "argument" else None)
    assert (VARIABLE in str(error.value)) == (way == "variable")
    (tmp_path / "typo").mkdir()
    check_exists(Path("typo"))
    (tmp_path / "typo" / "notes.txt").write_text("not a registry")
    with pytest.raises(RegistryError, match="typo: no registry found"):
        check_exists(Path("typo"))
    Registry.open("typo").create()
    check_exists(None if way == "variable" else "typo")


def test_the_default_registry_may_be_missing(home):
    check_exists(None)
    assert not home.exists()


def test_a_tilde_in_a_database_url_is_the_home_folder(home):
    location = locate("sqlite:///~/registry.db?artifacts=~/models")
    assert location.database.database == str(home / "registry.db")
    assert location.artifacts == str(home / "models")


def test_a_file_instead_of_a_folder_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RegistryError, match=f"{tmp_path / 'file'} is a file"):
        locate(str(tmp_path / "file"))


@pytest.mark.parametrize(
    "url", ["s3://bucket/models", "http://host/models", "nosuch://x?artifacts=y", "://x", "a b://c"]
)
def test_a_url_that_is_neither_a_folder_nor_a_database_is_refused_and_shown(url):
    with pytest.raises(RegistryError) as error:
        locate(url)
    assert url in str(error.value) and "folder" in str(error.value)


@pytest.mark.parametrize("query", ["", "?artifacts=", "?artifact=/models", "?artifacts=/a&artifacts=/b"])
def test_a_database_without_an_artifact_store_is_refused_with_advice(tmp_path, query):
    with pytest.raises(RegistryError, match=r"\?artifacts="):
        Registry.open(f"sqlite:///{tmp_path}/registry.db{query}")
    assert list(tmp_path.iterdir()) == []


def test_artifacts_on_an_unknown_file_system_are_refused_by_name(tmp_path):
    with pytest.raises(RegistryError, match="nosuch"):
        Registry.open(f"sqlite:///{tmp_path}/registry.db?artifacts=nosuch://bucket/models")


@pytest.mark.parametrize(
    "url",
    [
        f"nosuch://user:{SECRET}@host/models?artifacts=/models",  # no such dialect
        f"postgres://user:{SECRET}@host/models?artifacts=/models",  # a name that SQLAlchemy has dropped
        f"postgresql://user:{SECRET}@127.0.0.1:1/models?artifacts=/models",  # no driver, or nobody listens
        f"postgresql://user:{SECRET}@host:port/models?artifacts=/models",  # no number
        f"postgresql://user:{SECRET}@host/models",  # no artifacts
        f"sqlite://user:{SECRET}@host/models.db?artifacts=/models",  # SQLite has no users
    ],
)
def test_no_error_shows_a_password(url):
    with pytest.raises(RegistryError) as error:
        Registry.open(url).create()
    shown = str(error.value)
    assert SECRET not in shown
    assert "host" in shown or "127.0.0.1" in shown


def test_an_open_registry_never_shows_the_password(vault, tmp_path):
    registry = Registry.open(vault)
    registry.publish(write_model(tmp_path / "model"), make_record())
    assert "host=" in registry.url and SECRET not in registry.url
    with pytest.raises(NotRegisteredError) as error:
        registry.get("law")
    assert "host=" in str(error.value) and SECRET not in str(error.value)
    assert SECRET not in f"{registry!r} {locate(vault)!r} {locate(vault)}"


def test_the_password_still_reaches_the_database(vault):
    assert locate(vault).database.password == SECRET


def test_a_registry_is_opened_by_path_object_too(tmp_path: Path):
    assert Registry.open(tmp_path).versions() == []
