"""Classifier profiles: round trip, reproducible features, privacy, and invalid files."""

import hashlib
import io
import json
import pickle
import re
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from registry import DamagedArtifactError, OutputError, Profile
from registry.classifier_profiles.compact import FINENESS
from registry.classifier_profiles.features import (
    BUCKETS,
    WORD_BUCKETS,
    lexical_features,
    named_features,
    read_words,
    reads_alike,
)
from registry.classifier_profiles.profiles import FILE_NAME, FORMAT, MAX_QUERIES
from registry.texts.forms import text_key
from tests.registry.samples import run_python

QUERIES = ["What is tachycardia?", "Wie groß ist die Dosis?", "心臓の病気", "Is warfarin safe with aspirin?", "", "ﬁne"]

FROZEN = [10401, 15461, 76193, 141199, 141473, 164483, 173880, 187046, 209748, 218750, 226022, 236353]


def unit(rows, columns=8, seed=0):
    """Unit vectors."""
    vectors = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def encode(texts):
    """Unit vectors of texts by nobody in particular."""
    return unit(len(texts))


def assert_rounded(read, written):
    """Unit vectors differ by no more than rounding."""
    assert read.shape == written.shape
    assert (np.linalg.norm(read - written, axis=1) <= 0.501 / FINENESS).all()


def save_plain(profile, folder, metadata):
    """The profile as earlier releases stored it."""
    arrays = {
        "embeddings": profile.embeddings.astype(np.float16),
        "misspelt.embeddings": profile.misspelt_embeddings.astype(np.float16),
        "documents": profile.documents.astype(np.float16),
        "vocabulary": np.frombuffer("\n".join(profile.vocabulary).encode(), dtype=np.uint8),
    }
    for name, counts in (("lexical", profile.lexical), ("misspelt", profile.misspelt)):
        arrays[f"{name}.counts"] = counts.data.astype(np.uint16)
        arrays[f"{name}.indices"] = counts.indices.astype(np.int32)
        arrays[f"{name}.indptr"] = counts.indptr.astype(np.int64)
    save_file(arrays, folder / FILE_NAME, metadata=metadata)


@pytest.fixture
def profile():
    return Profile.from_queries(QUERIES, encode, "b" * 64)


@settings(max_examples=20)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=6, unique_by=text_key)
)
@example(["a" * 100_000])
def test_a_saved_profile_is_read_back_unchanged(tmp_path, queries):
    before = Profile.from_queries(queries, encode, "b" * 64)
    before.save(tmp_path)
    after = Profile.load(tmp_path)
    assert (after.base, after.vocabulary) == (before.base, before.vocabulary)
    assert (after.words, after.any_words) == (before.words, before.any_words)
    assert after.lexical.shape == after.misspelt.shape == (len(queries), BUCKETS)
    assert after.lexical.dtype == after.embeddings.dtype == np.float32
    for read, written in ((after.lexical, before.lexical), (after.misspelt, before.misspelt)):
        np.testing.assert_array_equal(read.indptr, written.indptr)
        np.testing.assert_array_equal(read.indices, written.indices)
        np.testing.assert_array_equal(read.data, np.minimum(written.data, 65535))
    assert_rounded(after.embeddings, before.embeddings)
    assert_rounded(after.misspelt_embeddings, before.misspelt_embeddings)
    content = (tmp_path / FILE_NAME).read_bytes()
    after.save(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content


@pytest.mark.slow
def test_features_and_sample_are_the_same_in_another_process(profile):
    code = """
import hashlib, json, sys
from registry.classifier_profiles.features import lexical_features
matrix = lexical_features(json.loads(sys.argv[1]))
print(hashlib.sha256(matrix.indices.tobytes() + matrix.data.tobytes()).hexdigest(), "torch" in sys.modules)
"""
    own = lexical_features(QUERIES)
    digest = hashlib.sha256(own.indices.tobytes() + own.data.tobytes()).hexdigest()
    assert run_python(code, json.dumps(QUERIES), PYTHONHASHSEED="7").split() == [digest, "False"]


def test_features_do_not_change_between_releases():
    """Profiles of years ago are compared with queries of today."""
    row = lexical_features(["Ab c"])
    assert sorted(row.indices.tolist()) == FROZEN
    assert set(row.data.tolist()) == {1.0}


@settings(max_examples=200)
@given(st.text(st.characters(codec="cp1252"), max_size=40) | st.text("Привет κόσμε 한국어 ёй", max_size=30))
def test_every_version_reads_plain_text_alike(text):
    if reads_alike(text):
        assert (lexical_features([text], 1) != lexical_features([text])).nnz == 0
        assert named_features(text, 1) == named_features(text)


@pytest.mark.parametrize(
    "text", ["What’s my balance, €5?", "Où est ma carte №5 …", "Где моя карта", "잔액이 얼마", "ﬁne ½"]
)
def test_text_without_marks_that_is_written_with_spaces_is_read_as_before(text):
    assert reads_alike(text)
    assert read_words(text, 1) == read_words(text)


@pytest.mark.parametrize(
    ("text", "earlier", "now"),
    [
        ("कार्ड खो", ["क", "र", "ड", "ख"], ["कार्ड", "खो"]),
        ("كَتَبَ", ["ك", "ت", "ب"], ["كَتَبَ"]),
        ("信用卡丢了", ["信用卡丢了"], ["信用", "用卡", "卡丢", "丢了"]),
        ("Wi\u00adFi", ["wi", "fi"], ["wifi"]),
    ],
)
def test_a_version_says_how_words_are_read(text, earlier, now):
    assert read_words(text, 1).words == earlier
    assert read_words(text).words == now
    assert not reads_alike(text)


def test_text_without_spaces_has_the_character_n_grams_of_the_whole():
    assert "'用卡丢'" in named_features("信用卡丢了") and "' 信用'" in named_features("信用卡丢了")


def earlier(profile, folder):
    """The profile as a much earlier release stored it."""
    save_plain(profile, folder, {"format": "2", "base": profile.base})
    return Profile.load(folder)


ENGLISH = ["what is an overdraft", "what is a mortgage", "close an account"]
HINDI = ["कार्ड खो गया", "कार्ड नया चाहिए", "खाता बंद करना"]


@pytest.mark.parametrize(("queries", "any_words"), [(ENGLISH, True), (HINDI, False), (["one", "two"], False)])
def test_a_profile_of_an_earlier_release_is_read_and_says_so(tmp_path, queries, any_words):
    read = earlier(Profile.from_queries(queries, encode, "b" * 64), tmp_path)
    assert (read.words, read.any_words) == (1, any_words)
    read.save(tmp_path)
    assert (Profile.load(tmp_path).words, Profile.load(tmp_path).any_words) == (1, any_words)


def test_a_new_profile_says_whether_every_version_reads_it_alike(tmp_path):
    for queries, expected in ((ENGLISH, True), ([*ENGLISH, HINDI[0]], False)):
        profile = Profile.from_queries(queries, encode, "b" * 64)
        assert (profile.words, profile.any_words) == (2, expected)


def test_a_repeated_query_counts_once(profile):
    copies = [f" {query.upper()}" for query in QUERIES]
    again = Profile.from_queries([*QUERIES, *copies], encode, "b" * 64)
    assert again.lexical.shape == profile.lexical.shape
    assert Profile.from_queries(["my secret", "MY SECRET"], encode, "b" * 64).vocabulary == ()


def test_equivalent_spellings_have_equal_features():
    first, second = lexical_features(["ﬁne Å", "fine A\u030a"]).toarray()
    np.testing.assert_array_equal(first, second)


def test_the_sample_is_bounded_and_its_rows_match_its_embeddings():
    count = MAX_QUERIES + 500
    queries = [f"query {number}" for number in range(count)]
    embeddings = np.zeros((count, 1), np.float32)
    embeddings[:, 0] = np.arange(count)
    profile = Profile.from_queries(queries, encode, "b", embeddings=embeddings)
    assert profile.lexical.shape[0] == len(profile.embeddings) == MAX_QUERIES
    kept = profile.embeddings[:, 0].astype(int)
    assert len(set(kept)) == MAX_QUERIES
    assert (profile.lexical != lexical_features(queries[number] for number in kept)).nnz == 0
    again = Profile.from_queries(queries, encode, "b", embeddings=embeddings)
    np.testing.assert_array_equal(again.embeddings, profile.embeddings)
    assert not np.array_equal(Profile.from_queries(queries, encode, "b", 1, embeddings).embeddings, profile.embeddings)


def test_other_users_may_read_a_profile(profile, tmp_path):
    profile.save(tmp_path)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o644


def test_the_file_holds_no_queries_and_only_words_that_two_have_in_common(tmp_path):
    profile = Profile.from_queries([*QUERIES, "Is tachycardia?"], encode, "b" * 64)
    assert set(profile.vocabulary) == {"is", "tachycardia"}
    profile.save(tmp_path)
    content = (tmp_path / FILE_NAME).read_bytes().lower()
    words = {word for query in QUERIES for word in re.findall(r"\w{4,}", query.lower())}
    assert len(words) > 5
    for word in words - {"tachycardia"}:
        for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
            assert word.encode(encoding) not in content


DOCUMENTS = [
    f"Heading. The drug number {number} lowers the pressure of the blood. Take it daily." for number in range(9)
]


def test_sentences_of_documents_are_part_of_a_profile_and_survive_the_disk(tmp_path):
    before = Profile.from_queries(QUERIES, encode, "b" * 64, documents=DOCUMENTS)
    assert before.documents.shape == (9, 8)
    assert before.take(np.arange(2)).documents is before.documents
    before.save(tmp_path)
    assert_rounded(Profile.load(tmp_path).documents, before.documents)
    assert b"pressure" not in (tmp_path / FILE_NAME).read_bytes()


def test_a_profile_without_documents_is_as_before(tmp_path, profile):
    assert not len(profile.documents)
    profile.save(tmp_path)
    assert not len(Profile.load(tmp_path).documents)
    for metadata in ({**PLAIN, "format": "3"}, METADATA):
        save_plain(profile, tmp_path, metadata)
        content = load_file(tmp_path / FILE_NAME)
        del content["documents"]
        save_file(content, tmp_path / FILE_NAME, metadata=metadata)
        assert not len(Profile.load(tmp_path).documents)


def test_a_profile_of_plain_arrays_is_read_as_it_was(tmp_path):
    before = Profile.from_queries(QUERIES, encode, "b" * 64, documents=DOCUMENTS)
    save_plain(before, tmp_path, PLAIN)
    after = Profile.load(tmp_path)
    assert (after.words, after.any_words, after.vocabulary) == (2, True, before.vocabulary)
    for own, read in ((before.lexical, after.lexical), (before.misspelt, after.misspelt)):
        assert own.shape == read.shape and (own != read).nnz == 0
    for name in ("embeddings", "misspelt_embeddings", "documents"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=1e-3)


def refused(folder):
    with pytest.raises(DamagedArtifactError) as error:
        Profile.load(folder)
    assert str(folder / FILE_NAME) in str(error.value)
    return str(error.value)


def test_a_missing_profile_is_refused_by_name(tmp_path):
    refused(tmp_path)
    (tmp_path / FILE_NAME).mkdir()
    refused(tmp_path)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (type(tmp_path).touch, (tmp_path / "ran",))

    buffer = io.BytesIO()
    np.savez(buffer, counts=np.array([Evil()], dtype=object))
    for content in (pickle.dumps(Evil()), buffer.getvalue()):
        (tmp_path / FILE_NAME).write_bytes(content)
        refused(tmp_path)
    assert not (tmp_path / "ran").exists()


METADATA = {"format": "2", "base": "b" * 64}
PLAIN = {"format": "4", "base": "b" * 64, "words": "2", "any_words": "yes"}


@pytest.mark.parametrize(
    ("changes", "metadata"),
    [
        ({}, None),
        ({}, {"base": "b" * 64}),
        ({}, {"format": "1", "base": "b" * 64}),
        ({}, {"format": "2"}),
        ({}, {"format": "3", "base": "b" * 64}),
        ({}, {"format": "3", "base": "b" * 64, "words": "9", "any_words": "yes"}),
        ({"lexical.counts": None}, METADATA),
        ({"embeddings": None}, METADATA),
        ({"embeddings": np.zeros((2, 8), np.float16)}, METADATA),
        ({"embeddings": np.zeros(6, np.float16)}, METADATA),
        ({"embeddings": np.full((6, 8), np.nan, np.float16)}, METADATA),
        ({"misspelt.embeddings": np.zeros((5, 8), np.float16)}, METADATA),
        ({"misspelt.embeddings": np.zeros((6, 7), np.float16)}, METADATA),
        ({"misspelt.indptr": np.zeros(3, np.int64)}, METADATA),
        ({"vocabulary": np.array([255, 254], np.uint8)}, METADATA),
        ({"lexical.indices": np.zeros(3, np.int32)}, METADATA),
        ({"lexical.indices": lambda old: old + BUCKETS}, METADATA),
        ({"lexical.indices": lambda old: old - BUCKETS}, METADATA),
        ({"lexical.indptr": lambda old: old[::-1].copy()}, METADATA),
        ({"lexical.indptr": lambda old: old * 1000}, METADATA),
        ({"lexical.indptr": np.zeros((2, 2), np.int64)}, METADATA),
        ({"lexical.indptr": np.zeros(0, np.int64)}, METADATA),
        ({"misspelt.counts": np.zeros((2, 2), np.uint16)}, METADATA),
        ({"documents": None}, PLAIN),
        ({"documents": np.zeros((3, 7), np.float16)}, PLAIN),
        ({"documents": np.zeros(8, np.float16)}, PLAIN),
        ({"documents": np.full((3, 8), np.inf, np.float16)}, PLAIN),
    ],
)
def test_another_safetensors_file_of_plain_arrays_is_refused(profile, tmp_path, changes, metadata):
    save_plain(profile, tmp_path, metadata or {})
    arrays = load_file(tmp_path / FILE_NAME)
    for name, change in changes.items():
        arrays[name] = change(arrays[name]) if callable(change) else change
    save_file({name: array for name, array in arrays.items() if array is not None}, tmp_path / FILE_NAME, metadata)
    refused(tmp_path)


@pytest.mark.parametrize(
    ("changes", "declared"),
    [
        ({}, {"format": "6"}),
        ({}, {"base": None}),
        ({}, {"words": "9"}),
        ({}, {"words": None}),
        ({}, {"buckets": "1"}),
        ({}, {"buckets": "many"}),
        ({}, {"dimension": "4"}),
        ({}, {"dimension": str(1 << 40)}),
        ({}, {"embeddings.count": "7"}),
        ({}, {"embeddings.count": "-6"}),
        ({}, {"misspelt.embeddings.count": "5"}),
        ({}, {"documents.count": "1"}),
        ({}, {"documents.count": None}),
        ({}, {"base": 5}),
        ({"metadata": None}, {}),
        ({"metadata": np.frombuffer(b"[" * 100_000, np.uint8)}, {}),
        ({"embeddings": None}, {}),
        ({"embeddings": np.zeros((6, 8), np.float16)}, {}),
        ({"embeddings": lambda old: old[:-1]}, {}),
        ({"embeddings": lambda old: np.append(old, old)}, {}),
        ({"lexical.rows": None}, {}),
        ({"lexical.rows": lambda old: old[::-1].copy()}, {}),
        ({"lexical.counts": np.zeros(0, np.uint8)}, {}),
        ({"lexical.sizes": np.frombuffer(zlib.compress(bytes(1 << 24)), np.uint8)}, {}),
        ({"embeddings": np.frombuffer(zlib.compress(bytes(1 << 24)), np.uint8)}, {}),
        ({"vocabulary": np.array([255, 254], np.uint8)}, {}),
    ],
)
def test_another_compact_file_is_refused(profile, tmp_path, changes, declared):
    profile.save(tmp_path)
    arrays = load_file(tmp_path / FILE_NAME)
    metadata = {**json.loads(arrays["metadata"].tobytes()), **declared}
    version = {"format": metadata.pop("format", FORMAT)}
    said = {name: value for name, value in metadata.items() if value is not None}
    arrays["metadata"] = np.frombuffer(json.dumps(said).encode(), np.uint8)
    for name, change in changes.items():
        arrays[name] = change(arrays[name]) if callable(change) else change
    save_file({name: array for name, array in arrays.items() if array is not None}, tmp_path / FILE_NAME, version)
    refused(tmp_path)


def test_a_profile_of_too_many_features_is_not_written(profile, tmp_path, monkeypatch):
    monkeypatch.setattr("registry.classifier_profiles.compact.MAX_NUMBERS", 100)
    with pytest.raises(OutputError, match=FILE_NAME):
        profile.save(tmp_path)
    assert not (tmp_path / FILE_NAME).exists()


@settings(max_examples=60)
@given(cut=st.floats(0, 1), flip=st.floats(0, 0.999), bit=st.integers(0, 7), everywhere=st.booleans())
def test_a_damaged_file_is_refused_or_still_valid(profile, tmp_path, cut, flip, bit, everywhere):
    profile.save(tmp_path)
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    content[int(flip * (len(content) if everywhere else header))] ^= 1 << bit
    content = content[: int(len(content) * (0.5 + cut))]
    (tmp_path / FILE_NAME).write_bytes(bytes(content))
    try:
        loaded = Profile.load(tmp_path)
    except DamagedArtifactError as error:
        assert FILE_NAME in str(error)
    else:
        assert loaded.lexical.shape[0] == len(loaded.embeddings)


def test_words_and_ngrams_are_counted_in_the_buckets_of_earlier_profiles():
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.feature_extraction.text import HashingVectorizer

    texts = [*QUERIES, "", "a", "Ab c Ab", "naïve café", "!?", " ".join(QUERIES)]
    hasher = FeatureHasher(WORD_BUCKETS, input_type="string", alternate_sign=False)
    ngrams = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False).build_analyzer()
    for text in texts:
        read = read_words(text)
        parts = [[*read.words, *map(" ".join, pairwise(read.words))], ngrams(" ".join(read.runs))]
        expected = np.hstack([row.toarray()[0] for row in hasher.transform(parts)])
        assert (lexical_features([text]).toarray()[0] == expected).all()
