"""The built-in domain classifier on the real base model: accuracy, unknown queries, and domains of every size."""

import json
import logging
import random
from dataclasses import replace

import numpy as np
import pytest

from registry import GENERAL, Profile
from registry.classifier_profiles.features import lexical_features
from registry.classifier_profiles.typos import misspell
from registry.model_folders.base_models import weights_sha256
from router_plugin.classifier.cascade import CascadeClassifier, related_domains
from router_plugin.classifier.known.everyday import everyday_profile, everyday_queries
from router_plugin.classifier.known.subjects import known_subjects
from router_plugin.contracts import BaseEmbedder
from router_plugin.encoders.torch_encoder import TorchEncoder
from tests.conftest import EXAMPLES

DOMAINS = ("medical", "finance", "legal")
QUESTIONS = 75
"""So many of each domain: encoding them is most of what these tests take."""

ACCURACY_FLOOR = 0.7
"""Measured: 0.82 of 45, most others being taken for everyday ones."""

UNKNOWN = (
    "which bus goes to the zoo",
    "how do I get candle wax out of a carpet",
    "recommend a comedy for tonight",
    "what is the capital of Mongolia",
    "play some jazz",
    "how long do I boil pasta",
    "set an alarm for six tomorrow",
    "who painted the ceiling of that chapel",
    "my cat keeps scratching the sofa",
    "what rhymes with orange",
)


@pytest.fixture(scope="module")
def base(real_base):
    """The real base model, loaded once."""
    return BaseEmbedder(weights_sha256(real_base.path), TorchEncoder(real_base.path, "cpu").encode)


@pytest.fixture(scope="module")
def general(base):
    return everyday_profile(base)


@pytest.fixture(scope="module")
def subjects(base):
    return known_subjects(base)


def asked(domain):
    """The questions of a domain's example data."""
    lines = (EXAMPLES / "data" / f"{domain}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


@pytest.fixture(scope="module")
def questions():
    """Questions of each domain, spread over its file: four of five to learn from, and the others."""
    split = {}
    for domain in DOMAINS:
        every = asked(domain)
        chosen = every[:: len(every) // QUESTIONS][:QUESTIONS]
        held_out = chosen[::5]
        split[domain] = ([text for text in chosen if text not in held_out], held_out)
    return split


@pytest.fixture(scope="module")
def profiles(base, questions):
    return {domain: Profile.from_queries(known, base.encode, base.digest) for domain, (known, _) in questions.items()}


@pytest.fixture(scope="module")
def classifier(base, general, profiles, subjects):
    return CascadeClassifier(general, profiles, base, subjects)


def best(classifier, queries):
    """The likeliest domain of every query, after a look at the rows."""
    rows = classifier.classify(queries).probabilities
    assert rows.shape == (len(queries), len(classifier.domains))
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-9)
    return [classifier.domains[index] for index in rows.argmax(axis=1)]


def test_held_out_questions_find_their_domain(classifier, questions):
    found = [(best(classifier, held_out), domain) for domain, (_, held_out) in questions.items()]
    right = [name == domain for names, domain in found for name in names]
    assert np.mean(right) >= ACCURACY_FLOOR


def test_unknown_everyday_queries_go_to_general(classifier):
    assert best(classifier, UNKNOWN).count(GENERAL) >= len(UNKNOWN) - 2


OTHER_FIELDS = (
    "who may see the pictures on my profile",
    "does this site hand my data to advertisers",
    "my python script cannot find the module",
    "which grade do I need to pass the exam",
    "how do I send these trousers back",
    "why do planets move in ellipses",
)


def test_questions_of_fields_that_are_not_registered_go_to_general(classifier):
    assert best(classifier, OTHER_FIELDS).count(GENERAL) >= len(OTHER_FIELDS) - 1


BY_NAME = (
    "can I take cetirizine and montelukast together",
    "Who makes Eliquis?",
    "how should an open bottle of amoxicillin be kept",
    "does metoprolol interact with grapefruit",
    "price of Humira without insurance",
    "is warfarin still prescribed",
    "when should levothyroxine be taken",
    "what is in a Lantus pen",
)
"""Questions about medicines, of which the medical examples know none by name."""


def test_questions_unlike_the_known_ones_are_found_by_their_subject(base, general, profiles, classifier):
    medical = classifier.domains.index("medical")
    without, found = (
        each.classify(BY_NAME).probabilities[:, medical]
        for each in (CascadeClassifier(general, profiles, base), classifier)
    )
    assert found.mean() > without.mean() + 0.03 and np.mean(found > without - 0.05) == 1


def test_a_domain_is_found_by_what_only_its_documents_speak_of(base, general, profiles, questions):
    manual = [f"{part} of the sailing boat must be checked before every trip." for part in ("The mast", "The keel")]
    manual += ["Reef the mainsail when the wind rises.", "The jib is hoisted after the mainsail.", "Coil the halyard."]
    known, asked = questions["legal"][0], ["when do I reef the mainsail", "how is the jib hoisted on a sailing boat"]
    found = []
    for documents in ((), manual):
        boats = Profile.from_queries(known, base.encode, base.digest, documents=documents)
        classifier = CascadeClassifier(general, {**profiles, "legal": boats}, base)
        found.append(classifier.classify(asked).probabilities[:, classifier.domains.index("legal")])
        assert best(classifier, questions["medical"][1]).count("medical") >= 0.8 * len(questions["medical"][1])
    without, with_manual = found
    assert (with_manual > without + 0.1).all()


def test_the_domains_are_general_and_the_registered_ones_in_their_order(classifier):
    assert tuple(classifier.domains) == (GENERAL, *DOMAINS)


def test_letters_case_and_punctuation_hardly_matter(classifier, questions):
    held_out = questions["medical"][1]
    plain = best(classifier, [query.upper().rstrip("?.!") for query in held_out])
    assert np.mean([one == other for one, other in zip(plain, best(classifier, held_out), strict=True)]) >= 0.9


def test_typing_errors_are_forgiven(classifier, questions):
    draw = random.Random(3)
    right = [
        name == domain
        for domain, (_, held_out) in questions.items()
        for name in best(classifier, [misspell(query, draw, 0.05) for query in held_out])
    ]
    assert np.mean(right) >= ACCURACY_FLOOR - 0.1


@pytest.mark.parametrize(
    "wrapper",
    [
        "You are a helpful assistant. Answer the question below as well as you can.\n\nQuestion: {}\nAnswer:",
        "Hi there, I hope you are well! {} Thanks a lot in advance.",
        "<system>Be brief and polite.</system>\nUser: {}",
    ],
)
def test_a_wrapper_around_a_question_does_not_change_its_domain(classifier, questions, wrapper):
    held_out = questions["medical"][1]
    wrapped = best(classifier, [wrapper.format(query.rstrip(".?!") + "?") for query in held_out])
    assert np.mean([one == other for one, other in zip(wrapped, best(classifier, held_out), strict=True)]) >= 0.8


@pytest.mark.slow
def test_the_question_after_pages_of_something_else_is_found(classifier, questions):
    pages = "The orchestra rehearsed the second movement twice before the rain drowned out the flutes. " * 30
    known = questions["medical"][0][:20]
    assert best(classifier, [pages + query for query in known]).count("medical") >= 15


def test_what_is_in_no_known_language_goes_to_general(classifier):
    foreign = ["心臓の病気について教えてください", "Как приготовить борщ дома", "jak dojechać na dworzec kolejowy"]
    assert best(classifier, foreign) == [GENERAL] * 3


def test_what_was_embedded_on_the_way_is_the_base_models_embedding(classifier, base):
    queries = [*UNKNOWN, *(f"Hello! {query}" for query in UNKNOWN)]
    found = classifier.classify(queries)
    assert len(found.embedded) > len(UNKNOWN)
    for row, vector in found.embedded.items():
        np.testing.assert_allclose(vector, base.encode([queries[row]])[0], atol=1e-5)


def test_a_sure_lexical_stage_embeds_nothing(general, profiles, base):
    def refuse(texts):
        raise AssertionError("embedded")

    lexical_only = CascadeClassifier(general, profiles, BaseEmbedder(base.digest, refuse), sure=0, unknown=1)
    assert not lexical_only.classify(list(UNKNOWN)).embedded


def test_a_query_of_words_that_nobody_knows_is_embedded(general, profiles, base, questions):
    classifier = CascadeClassifier(general, profiles, base, sure=0)
    known = questions["medical"][0][0]
    half_known = " ".join(f"{word} zorblat" for word in known.split())
    assert set(classifier.classify([known, half_known]).embedded) == {1}


def test_a_greater_precision_asks_for_greater_probabilities(general, profiles, base):
    least, most = (CascadeClassifier(general, profiles, base, precision=precision) for precision in (0.5, 0.99))
    assert least.thresholds[GENERAL] == most.thresholds[GENERAL] == 0
    assert all(least.thresholds[name] <= most.thresholds[name] for name in DOMAINS)
    assert any(least.thresholds[name] < most.thresholds[name] for name in DOMAINS)


def test_odd_queries_have_probabilities(classifier):
    best(classifier, ["?!", "\x00", "ÄÖÜ", "12345", "\U0001f9d1\u200d\U0001f692", "x" * 5000])


def test_the_same_profiles_give_the_same_probabilities(classifier, base, general, profiles, subjects):
    again = CascadeClassifier(general, profiles, base, subjects)
    first, second = (each.classify(UNKNOWN).probabilities for each in (classifier, again))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_another_domain_changes_no_profile(base, general, profiles):
    before = {name: (p.lexical.copy(), p.embeddings.copy()) for name, p in {GENERAL: general, **profiles}.items()}
    CascadeClassifier(general, {"medical": profiles["medical"], "finance": profiles["finance"]}, base)
    CascadeClassifier(general, profiles, base)
    for name, profile in {GENERAL: general, **profiles}.items():
        lexical, embeddings = before[name]
        assert (profile.lexical != lexical).nnz == 0
        np.testing.assert_array_equal(profile.embeddings, embeddings)


def test_domains_are_related_if_one_is_taken_for_the_other_with_certainty():
    certain, doubtful = [0.02, 0.03, 0.95], [0.1, 0.3, 0.6]
    own = [0.02, 0.95, 0.03]
    labels = np.array([1] * 100 + [2] * 100)
    clear = np.array([own] * 98 + [certain] * 2 + [certain] * 100)
    assert related_domains(clear, labels, ["general", "a", "b"]) == {"a": {"b"}, "b": {"a"}}
    assert related_domains(np.array([own] * 98 + [doubtful] * 2 + [certain] * 100), labels, ["general", "a", "b"]) == {}


def test_without_a_domain_everything_is_general(base, general):
    classifier = CascadeClassifier(general, {}, base)
    assert tuple(classifier.domains) == (GENERAL,)
    np.testing.assert_allclose(classifier.classify(["my knee hurts", "how are you"]).probabilities, 1)


def test_one_domain_is_told_from_general(base, general, profiles, questions):
    classifier = CascadeClassifier(general, {"legal": profiles["legal"]}, base)
    assert best(classifier, questions["legal"][1]).count("legal") >= 0.8 * len(questions["legal"][1])
    assert best(classifier, UNKNOWN).count(GENERAL) >= len(UNKNOWN) - 2


@pytest.mark.slow
def test_a_small_domain_is_found_beside_a_large_one(base, general, profiles, questions):
    every = [question for question in asked("medical") if question not in questions["medical"][1]]
    large = Profile.from_queries(every, base.encode, base.digest)
    small = profiles["legal"].take(np.arange(10))
    assert large.lexical.shape[0] > 30 * 10
    classifier = CascadeClassifier(general, {"medical": large, "legal": small}, base)
    assert best(classifier, questions["legal"][0]).count("legal") >= 10
    assert best(classifier, questions["medical"][1]).count("medical") >= 0.8 * len(questions["medical"][1])
    assert best(classifier, questions["legal"][1]).count("legal") >= 0.1 * len(questions["legal"][1])


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.filterwarnings("error::UserWarning")
def test_a_domain_of_one_or_two_queries_is_taken(base, general, profiles, questions, size):
    tiny = profiles["legal"].take(np.arange(size))
    classifier = CascadeClassifier(general, {"medical": profiles["medical"], "legal": tiny}, base)
    assert len(best(classifier, questions["legal"][0][:size])) == size
    assert best(classifier, questions["medical"][1]).count("medical") >= 0.8 * len(questions["medical"][1])


def test_profiles_of_another_base_model_count_by_their_spelling_and_are_named(
    base, general, profiles, questions, caplog
):
    foreign = replace(profiles["legal"], embeddings=profiles["legal"].embeddings[:, :7], base="0" * 64)
    with caplog.at_level(logging.WARNING):
        classifier = CascadeClassifier(general, {"medical": profiles["medical"], "legal": foreign}, base)
    assert "legal" in caplog.text and "medical" not in caplog.text
    assert best(classifier, questions["legal"][1]).count("legal") >= 0.25 * len(questions["legal"][1])


def test_a_profile_survives_the_disk(tmp_path, base, profiles):
    profiles["legal"].save(tmp_path)
    loaded = Profile.load(tmp_path)
    assert loaded.base == base.digest
    assert (loaded.lexical != profiles["legal"].lexical).nnz == 0
    np.testing.assert_allclose(loaded.embeddings, profiles["legal"].embeddings, atol=3e-3)


def test_everyday_queries_are_distinct_and_not_blank():
    queries = everyday_queries()
    assert len(set(queries)) == len(queries) and all(query == query.strip() != "" for query in queries)


def test_the_packaged_everyday_profile_is_up_to_date_with_its_queries(base, general):
    queries = everyday_queries()
    assert general.base == base.digest
    assert general.lexical.shape[0] == general.embeddings.shape[0] == len(queries)
    fresh = Profile.from_queries(queries, lambda texts: np.zeros((len(texts), 1)), base.digest)
    for read, made in ((general.lexical, fresh.lexical), (general.misspelt, fresh.misspelt)):
        assert (read != made).nnz == 0
    assert general.vocabulary == fresh.vocabulary
    places = {tuple(row.indices): text for row, text in zip(lexical_features(queries), queries, strict=True)}
    asked = [places[tuple(row.indices)] for row in general.lexical[::5]]
    np.testing.assert_allclose(general.embeddings[::5], base.encode(asked), atol=4e-3)


SPOKEN = {
    "cards": ["कार्ड खो गया", "नया कार्ड चाहिए", "कार्ड बंद करो"],
    "loans": ["ऋण कैसे मिलेगा", "ऋण की दर क्या है", "ऋण बंद करो"],
}


def spoken(name, version):
    """A domain's profile as the present release, or the one before, makes it of Hindi queries."""
    queries = [f"{text} {number}" for number in range(12) for text in SPOKEN[name]]
    vectors = np.tile(np.float32([1, 0]), (len(queries), 1))
    profile = Profile.from_queries(queries, lambda texts: vectors[: len(texts)], "0" * 64)
    read = [
        lexical_features(texts, version) for texts in (queries, [misspell(text, random.Random(0)) for text in queries])
    ]
    return replace(profile, lexical=read[0], misspelt=read[1], words=version, any_words=False)


@pytest.mark.parametrize("versions", [(1, 1), (2, 2), (1, 2)])
def test_queries_are_read_as_the_profiles_were(general, versions, caplog):
    profiles = {name: spoken(name, version) for name, version in zip(SPOKEN, versions, strict=True)}
    classifier = CascadeClassifier(general, profiles, BaseEmbedder("0" * 64, None))
    expected = 1 if versions == (1, 1) else 2
    assert classifier._words == expected
    assert ("['cards'] were made by an earlier release" in caplog.text) == (versions == (1, 2))
    known = classifier._lexical.weighting.unseen(lexical_features(["ऋण बंद करो"], expected))
    assert known == 0
    if len(set(versions)) == 1:
        chosen = classifier.classify(["मेरा कार्ड खो गया", "ऋण कैसे मिलेगा मुझे"]).probabilities[:, 1:].argmax(axis=1)
        assert chosen.tolist() == [0, 1]


def test_a_text_is_measured_as_in_a_matrix_of_texts(general):
    profiles = {name: spoken(name, 2) for name in SPOKEN}
    stage = CascadeClassifier(general, profiles, BaseEmbedder("0" * 64, None))._lexical
    for text in ["कार्ड खो गया", "what is a card, what is a loan", "!", ""]:
        counts = lexical_features([text])
        with np.errstate(invalid="ignore"):
            weights = stage.weighting(counts)
        buckets, values, unseen = stage.weighting.of_text(text, 2)
        assert buckets.tolist() == weights.indices.tolist()
        np.testing.assert_allclose(values, weights.data, atol=1e-6)
        np.testing.assert_allclose(unseen, stage.weighting.unseen(counts)[0], atol=1e-6)
