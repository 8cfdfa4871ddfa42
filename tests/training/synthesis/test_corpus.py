"""A whole corpus becomes pairs in one call."""

import pytest

from training import SourceError, SynthesisOptions, synthesize

SENTENCES = (
    "A fever is a body temperature above normal. It is often a sign of an infection. Drink water and rest in bed."
)


def test_a_corpus_becomes_pairs_and_what_gave_none_is_counted(tmp_path):
    (tmp_path / "fever.txt").write_text(SENTENCES, encoding="utf-8")
    (tmp_path / "short.txt").write_text("See below.", encoding="utf-8")
    (tmp_path / "bad.jsonl").write_text('{"text": 7}\n', encoding="utf-8")
    found = synthesize(tmp_path, skip_bad=True)
    assert (found.documents, found.without_passages, found.passages) == (2, 1, 1)
    assert {pair.document for pair in found.pairs} == {"fever.txt"}
    assert len(found.skipped) == 1 and "bad.jsonl, line 1" in found.skipped[0]
    assert synthesize(tmp_path, skip_bad=True) == found
    assert synthesize(tmp_path, SynthesisOptions(seed=7), skip_bad=True).pairs != found.pairs


def test_a_corpus_without_passages_is_refused(tmp_path):
    (tmp_path / "short.txt").write_text("See below.", encoding="utf-8")
    with pytest.raises(SourceError, match=r"no questions can be made from it: expected passages"):
        synthesize(tmp_path)
