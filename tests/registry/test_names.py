"""Names of domains, aliases and artifact files, and references to versions."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry import InvalidNameError, Registry
from registry.names import Reference, check_alias, check_domain, check_file, parse_reference
from registry.records import ArtifactFile, check_test_set
from tests.registry.samples import make_record, write_model

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = st.text(LETTERS + "0123456789", min_size=1, max_size=8)
NAMES = st.builds(
    lambda letter, words, join: letter + join.join(words),
    st.sampled_from(LETTERS),
    st.lists(WORDS, min_size=1, max_size=5),
    st.sampled_from("-_"),
).filter(lambda name: name != "general")

REFUSED = [
    "",
    " ",
    ".",
    "..",
    "../medical",
    "/etc/passwd",
    "medical/law",
    "medical\\law",
    "Medical",
    "médical",
    "медицина",
    "medıcal",
    "medical\n",
    "medical ",
    "medical\0",
    "medical.",
    "1medical",
    "-medical",
    "medical-",
    "medical--law",
    "a" * 65,
]

REFUSED_FILES = [
    "",
    ".",
    "..",
    "/etc/passwd",
    "../model.safetensors",
    "a/../b",
    "a/./b",
    "./a",
    "a//b",
    "a/",
    "//a",
    "a\\..\\b",
    "C:\\a",
    "~/a",
    ".hidden",
    "a/.hidden",
    "a\0b",
    "a\nb",
    "gewicht\u202e.json",
    "ﬁle",
    "-rf",
]


@settings(max_examples=25)
@given(NAMES)
@example("a" * 64)
def test_words_joined_by_hyphen_or_underscore_are_domains_aliases_and_test_sets(name):
    assert check_domain(name) == name
    assert name == "test" or check_test_set(name) == name
    assert check_alias(name) == name


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_name_is_shown_with_what_would_be_allowed(name):
    for check, kind in ((check_domain, "domain"), (check_alias, "alias"), (check_test_set, "test set")):
        with pytest.raises(InvalidNameError) as error:
            check(name)
        assert repr(name) in str(error.value)
        assert kind in str(error.value) and "lower-case letters" in str(error.value)


@settings(max_examples=25)
@given(st.text())
def test_a_valid_name_is_one_plain_path_part_on_every_system(name):
    try:
        check_domain(name)
    except InvalidNameError:
        return
    assert name.isascii() and name == name.lower().strip() and PurePosixPath(name).parts == (name,)
    assert not set(name) & set("/\\:.~@%?*\0")


def test_general_is_reserved_as_a_domain():
    with pytest.raises(InvalidNameError, match="'general' is reserved"):
        check_domain("general")
    with pytest.raises(InvalidNameError, match="reserved"):
        parse_reference("general@1")
    with pytest.raises(ValueError, match="reserved"):
        make_record(domain="general")


def test_test_is_reserved_for_the_domains_own_test_set():
    with pytest.raises(InvalidNameError, match="'test' is reserved"):
        check_test_set("test")


@pytest.mark.parametrize("path", ["model.safetensors", "1_Pooling/config.json", "a/b/c-d_e.1", "_x"])
def test_plain_relative_file_names_are_allowed(path):
    assert check_file(path) == path


@pytest.mark.parametrize("path", REFUSED_FILES)
def test_a_file_name_that_may_leave_its_folder_is_refused_and_shown(path):
    with pytest.raises(InvalidNameError) as error:
        check_file(path)
    assert repr(path) in str(error.value)
    with pytest.raises(ValueError, match="not allowed"):
        ArtifactFile(path=path, sha256="0" * 64, size=0)


@settings(max_examples=25)
@given(st.text(alphabet="ab./\\~ \0\n..", max_size=12))
def test_an_allowed_file_stays_inside_its_folder(path):
    try:
        check_file(path)
    except InvalidNameError:
        return
    assert (Path("/root") / path).resolve().is_relative_to("/root")
    assert (Path("/root") / path).as_posix() == f"/root/{path}"


@settings(max_examples=25)
@given(NAMES, st.integers(1, 999_999_999), NAMES)
def test_a_reference_names_a_version_an_alias_or_the_champion(domain, version, alias):
    assert parse_reference(domain) == Reference(domain, alias="champion")
    assert parse_reference(f"{domain}@{version}") == Reference(domain, version=version)
    assert parse_reference(f"{domain}@{alias}") == Reference(domain, alias=alias)


@pytest.mark.parametrize(
    "text", ["", "@", "@1", "medical@", "medical@0", "medical@-1", "medical@1.0", "medical@²", "medical@1@2", "a/b@1"]
)
def test_a_malformed_reference_is_refused(text):
    with pytest.raises(InvalidNameError):
        parse_reference(text)


def test_a_version_number_of_any_length_is_handled():
    with pytest.raises(InvalidNameError, match="count from 1"):
        parse_reference("medical@" + "9" * 5000)


@pytest.mark.parametrize("name", REFUSED)
def test_every_method_checks_the_domain(registry: Registry, name):
    for call in (registry.get, registry.versions, registry.aliases, registry.promote, registry.rollback):
        with pytest.raises(InvalidNameError):
            call(name)


def test_a_folder_with_one_invalid_file_name_is_refused(registry: Registry, tmp_path):
    folder = write_model(tmp_path / "model")
    (folder / ".hidden").write_text("x")
    with pytest.raises(InvalidNameError, match=r"\.hidden"):
        registry.publish(folder, make_record())
    assert registry.versions() == []
