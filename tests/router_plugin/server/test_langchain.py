"""Embeddings as LangChain's client of OpenAI asks for them."""

from __future__ import annotations

import numpy as np
import openai
import pytest
import tiktoken
from langchain_openai import OpenAIEmbeddings

from router_plugin import JointSpace

TEXTS = ["what are the side effects of this medicine", "", "the landlord keeps my deposit"]


def embeddings(serving, model, **options):
    """LangChain's embeddings of that server."""
    return OpenAIEmbeddings(base_url=f"{serving[0]}/v1", api_key="none", model=model, max_retries=0, **options)


@pytest.mark.parametrize("domain", ["medical", "general"])
def test_a_domain_embeds_by_its_own_encoder(serving, served_domains, domain):
    wanted = served_domains.embed([(domain, text) for text in TEXTS])
    own = embeddings(serving, domain, check_embedding_ctx_length=False)
    np.testing.assert_allclose(own.embed_documents(TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(own.embed_query(TEXTS[0]), wanted[0], atol=1e-5)


def test_the_joint_space_holds_all_domains(serving, served_domains):
    wanted = JointSpace(served_domains).encode_queries(TEXTS)
    own = embeddings(serving, "domain-routed", check_embedding_ctx_length=False)
    np.testing.assert_allclose(own.embed_documents(TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(own.embed_query(TEXTS[0]), wanted[0], atol=1e-5)


def test_vectors_are_shortened(serving):
    own = embeddings(serving, "medical", check_embedding_ctx_length=False, dimensions=8)
    assert np.shape(own.embed_documents(TEXTS)) == (3, 8)


def test_who_sends_token_ids_is_told_what_to_do(serving, monkeypatch):
    ranks = {bytes([each]): each for each in range(256)}
    by_byte = tiktoken.Encoding("by-byte", pat_str=".", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: by_byte)  # the real ones are downloaded
    with pytest.raises(openai.BadRequestError, match="send the text itself .*check_embedding_ctx_length=False"):
        embeddings(serving, "medical").embed_query(TEXTS[0])
