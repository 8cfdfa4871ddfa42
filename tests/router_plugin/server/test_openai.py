"""Embeddings and models as OpenAI's own client asks for them."""

from __future__ import annotations

import numpy as np
import openai
import pytest

from router_plugin import JointSpace

TEXTS = ["what are the side effects of this medicine", "how do I open a bank account", "the landlord keeps my deposit"]


@pytest.fixture
def own(serving):
    """OpenAI's client of that server."""
    return openai.OpenAI(base_url=f"{serving[0]}/v1", api_key="none", max_retries=0)


def vectors(answer):
    return np.array([each.embedding for each in answer.data], dtype=np.float32)


@pytest.mark.parametrize("domain", ["general", "medical", "finance"])
def test_a_domain_embeds_by_its_own_encoder(own, served_domains, domain):
    answer = own.embeddings.create(model=domain, input=TEXTS)
    np.testing.assert_allclose(vectors(answer), served_domains.embed([(domain, text) for text in TEXTS]), atol=1e-5)
    assert answer.usage.total_tokens > len(TEXTS)
    plain = own.embeddings.create(model=domain, input=TEXTS, encoding_format="float")
    np.testing.assert_allclose(vectors(plain), vectors(answer), atol=1e-6)


def test_a_version_is_the_domain_that_it_serves(own):
    of_domain, of_version = (own.embeddings.create(model=name, input="loan") for name in ("finance", "finance@1"))
    assert of_domain.data == of_version.data
    assert of_domain.system_fingerprint == of_version.system_fingerprint
    assert of_domain.system_fingerprint.startswith("finance@1-")


def test_the_joint_space_holds_all_domains(own, served_domains):
    space = JointSpace(served_domains)
    answer = own.embeddings.create(model="domain-routed", input=TEXTS)
    np.testing.assert_allclose(vectors(answer), space.encode_queries(TEXTS), atol=1e-5)
    assert answer.system_fingerprint == space.identifier
    half = own.embeddings.create(model="domain-routed", input=TEXTS, dimensions=space.dimension // 2)
    assert half.system_fingerprint != space.identifier
    assert vectors(half).shape == (3, space.dimension // 2)


def test_shortened_vectors_have_unit_length_and_a_space_of_their_own(own):
    full, short = (own.embeddings.create(model="medical", input=TEXTS, dimensions=size) for size in (None, 8))
    part = vectors(full)[:, :8]
    np.testing.assert_allclose(vectors(short), part / np.linalg.norm(part, axis=1, keepdims=True), atol=1e-5)
    assert full.system_fingerprint != short.system_fingerprint


@pytest.mark.parametrize("text", ["", " ", "\N{BELL}", "🙂" * 50, "word " * 3000])
def test_any_text_has_a_vector_of_unit_length(client, text):
    answer = client.post("/v1/embeddings", json={"model": "general", "input": text})
    assert answer.status_code == 200, answer.text
    assert np.linalg.norm(answer.json()["data"][0]["embedding"]) == pytest.approx(1, abs=1e-4)


def test_models_are_the_domains_and_the_joint_space(own):
    assert [each.id for each in own.models.list()] == ["general", "finance", "legal", "medical", "domain-routed"]
    assert own.models.retrieve("medical").version == own.models.retrieve("medical@1").version == "medical@1"
    with pytest.raises(openai.NotFoundError):
        own.models.retrieve("law")


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"model": "law", "input": "x"}, openai.NotFoundError, "unknown model 'law': expected general, finance"),
        ({"model": "medical@7", "input": "x"}, openai.NotFoundError, "no such version is registered"),
        ({"model": "medical@champion", "input": "x"}, openai.NotFoundError, "expected a domain, or a version like"),
        ({"model": "../medical", "input": "x"}, openai.NotFoundError, "unknown model"),
        ({"model": "medical", "input": [1, 2]}, openai.BadRequestError, "send the text itself"),
        ({"model": "medical", "input": [[1], [2]]}, openai.BadRequestError, "send the text itself"),
        ({"model": "medical", "input": []}, openai.BadRequestError, "expected a text, or a list of at least one"),
        ({"model": "medical", "input": ["x"] * 51}, openai.UnprocessableEntityError, "51 texts .* at most 50"),
        ({"model": "medical", "input": "x" * 20_001}, openai.UnprocessableEntityError, "at most 20000 characters"),
        ({"model": "medical", "input": "x", "dimensions": 33}, openai.UnprocessableEntityError, "from 1 to 32"),
        ({"model": "domain-routed", "input": "x", "dimensions": 7}, openai.UnprocessableEntityError, "multiple of 4"),
        ({"model": "medical", "input": "x", "dimensions": 0}, openai.BadRequestError, "`dimensions`"),
    ],
)
def test_mistakes_are_told_as_openai_tells_them(own, asked, kind, said):
    with pytest.raises(kind, match=said) as refused:
        own.embeddings.create(**asked)
    assert refused.value.body["type"] == "invalid_request_error"
