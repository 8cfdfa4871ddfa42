"""The sample of the sentences of a domain's documents."""

from registry.classifier_profiles.sentences import MAX_SENTENCES, sample_sentences

LONG = "word " * 200 + "end."


def test_headings_and_lists_are_left_out_and_every_sentence_is_taken_once():
    text = f"Summary. Warfarin thins\n the blood. {LONG} Warfarin THINS the blood. What are its side effects?"
    assert sorted(sample_sentences([text, text], 0)) == ["Warfarin THINS the blood.", "What are its side effects?"]


def test_a_large_corpus_gives_no_more_than_the_limit_and_always_the_same():
    corpus = [
        f"Here is sentence number {number}. And another one, {number} too." for number in range(2 * MAX_SENTENCES)
    ]
    found = sample_sentences(corpus, 1)
    assert len(found) == len(set(found)) == MAX_SENTENCES
    assert found == sample_sentences(iter(corpus), 1) != sample_sentences(corpus, 2)


def test_sentences_without_spaces_are_found():
    sentences = {"华法林会使血液变稀。", "请每天服用一次。"}
    assert set(sample_sentences(["".join(sentences)], 0)) == sentences


def test_no_documents_have_no_sentences():
    assert sample_sentences([], 0) == sample_sentences(["", "Heading"], 0) == []
