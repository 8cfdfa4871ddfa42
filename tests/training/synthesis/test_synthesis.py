"""Synthesis: documents of every kind, passages, and pairs with and without a language model."""

import gzip
import json
import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from registry import OutputError
from registry.texts.sentences import split_sentences
from tests.training.llm.chat_server import chat_server, said, two_questions
from training import SourceError, prepare, read_pairs
from training.llm.chat import ChatModel
from training.synthesis.documents import MAX_BYTES, Document, read_documents
from training.synthesis.extraction import KEYWORDS, caption, extract_pairs
from training.synthesis.llm_questions import ask_pairs
from training.synthesis.outlines import Outline, Section, read_html, read_markdown, read_plain
from training.synthesis.output import check_file, write_pairs
from training.synthesis.passages import MIN_WORDS, Passage, SyntheticPair, cut_passages
from training.tables.options import ReadOptions
from training.tables.reading import BadRows

FEVER = (
    "A fever is a body temperature above normal. It is a sign of an infection. Drink water and rest in bed for a day."
)
PAGE = """<html><head><title>Fever | Site</title><style>p {color: red}</style></head><body>
<nav>Home <a href="/">About</a></nav>
<h1>Fever</h1><p>A rise of <b>temper</b>ature.</p>
<h2>When to <em>call</em></h2><ul><li>Above 40 &deg;C.</li><li>After three days.</li></ul>
<script>var a = "<h2>no</h2>";</script><footer>All rights</footer></body></html>"""


def test_html_is_split_at_headings_and_non_text_is_left_out():
    assert read_html(PAGE) == (
        "Fever",
        (Section("", "A rise of temperature."), Section("When to call", "Above 40 °C. After three days.")),
    )


def test_labels_of_a_form_are_text_but_not_its_fields():
    page = "<form><h1>Leave</h1><p>Ask in May.</p><select><option>May<option>June</select><button>Send</button></form>"
    assert read_html(page) == ("Leave", (Section("", "Ask in May."),))


def test_inline_tags_of_markdown_start_no_section():
    lines = (
        "# Use\n\nRun `x`, then git commit -m <title> and push.\n\nOr dotnet new <template>. Put a <form> around it."
    )
    outline = Outline("Use", (Section("", "Run x, then git commit -m and push. Or dotnet new . Put a around it."),))
    assert read_markdown(lines) == outline
    assert read_markdown('Click <button class="x">Go</button> now.\n').sections == (Section("", "Click Go now."),)
    assert read_html("<p>Set a <title>, then go on.").sections == (Section("", "Set a , then go on."),)


def test_a_page_without_a_first_heading_has_the_title_of_its_head():
    assert read_html("<title>Rash</title>Red skin.") == ("Rash", (Section("", "Red skin."),))


@pytest.mark.parametrize("text", ["", "<", "<h1", "<h1>a", "</h1></nav>text", "<p><h2>a<h3>b", "&#xFFFFFFFF;<!-- -"])
def test_broken_html_is_read_as_far_as_possible(text):
    assert read_html(text).title in ("", "a")


def test_markdown_is_split_at_headings():
    text = "---\ntitle: no\n---\n# Fever\n\nA *rise*.\n\n## Care\n\n| a | b |\n|---|---|\n| c | d |\n\n"
    text += "Setext\n---\n\nMore.\n"
    title, sections = read_markdown(text)
    assert title == "Fever"
    assert sections == (Section("", "A rise."), Section("Care", "a b c d"), Section("Setext", "More."))


def test_a_short_first_line_before_an_empty_one_is_the_title_of_plain_text():
    assert read_plain("Fever\n\nA rise of\ntemperature.") == ("Fever", (Section("", "A rise of temperature."),))
    assert read_plain("A rise.\n\nMore.").title == ""
    assert read_plain("A rise\nof temperature").title == ""
    assert read_plain(" \n ") == ("", ())


@pytest.fixture
def folder(tmp_path):
    """One document of every kind, and what is none."""
    root = tmp_path / "corpus"
    (root / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "a.txt").write_text(f"Fever\n\n{FEVER}", encoding="utf-8")
    (root / "deep" / "b.md").write_text(f"# Rash\n\n{FEVER}", encoding="utf-8")
    (root / "c.HTML").write_text(PAGE, encoding="utf-8")
    rows = [{"id": 7, "Title": "Cough", "text": FEVER}, {"text": "Only text."}]
    (root / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (root / "e.jsonl.gz").write_bytes(gzip.compress(json.dumps({"_id": "x", "body": "Zipped."}).encode()))
    for name in (".git/f.txt", ".hidden.md", "g.png", "h.json"):
        (root / name).write_text("nothing", encoding="utf-8")
    return root


def test_a_folder_is_read_in_order_without_hidden_and_other_files(folder):
    found = [(document.id, document.title) for document in read_documents(folder, BadRows(False))]
    assert found == [
        ("a.txt", "Fever"),
        ("c.HTML", "Fever"),
        ("7", "Cough"),
        (f"{folder / 'd.jsonl'}, line 2", ""),
        ("deep/b.md", "Rash"),
        ("x", ""),
    ]


def test_one_file_is_a_corpus_and_columns_can_be_named(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text(f"about,words\nFever,{FEVER}\n", encoding="utf-8")
    (document,) = read_documents(file, BadRows(False), text="words", title="about")
    assert (document.title, document.sections) == ("Fever", (Section("", FEVER),))


def test_what_prepare_wrote_is_a_corpus(pairs_file, tmp_path):
    prepare(read_pairs(str(pairs_file)), tmp_path / "prepared")
    documents = read_documents(tmp_path / "prepared" / "corpus.jsonl", BadRows(False))
    assert re.fullmatch(r"d\d+-\d+", documents[0].id)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xff\xfe\x00", "a.txt: is not UTF-8 text"),
        ("a.jsonl", b'{"other": 1}\n', "a.jsonl, line 1: no text column"),
        ("a.jsonl", b"{\n", "a.jsonl, line 1: is not JSON"),
        ("a.md", b" \n", "has no text"),
        ("a.png", b"x", "a.png: unknown format"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=re.escape(message)) as raised:
        read_documents(tmp_path / name, BadRows(False))
    assert str(raised.value).count("`skip_bad`") <= 1


def test_bad_files_and_rows_are_counted_on_request(folder):
    (folder / "bad.txt").write_bytes(b"\xff")
    (folder / "d.jsonl").write_text('{"text": ""}\n{"text": "Good."}\n', encoding="utf-8")
    bad = BadRows(True)
    documents = read_documents(folder, bad)
    assert len(documents) == 5
    assert [line.split(":")[0].rpartition("/")[2] for line in bad.lines] == ["bad.txt", "d.jsonl, line 1"]


def test_invalid_unicode_is_a_bad_row_or_replaced_in_a_file_name(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"title": "Fever \\ud83d", "text": "A rise of temperature."}\n')
    with pytest.raises(SourceError, match=r"rows\.jsonl, line 1: title holds half of a surrogate pair"):
        read_documents(tmp_path, BadRows(False))
    (tmp_path / "rows.jsonl").unlink()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9sum\xe9.txt")).write_text("Fever is a rise of temperature.")
    (document,) = read_documents(tmp_path, BadRows(False))
    assert document.id == "r\N{REPLACEMENT CHARACTER}sum\N{REPLACEMENT CHARACTER}.txt"


def test_a_missing_corpus_an_empty_folder_and_a_huge_file_are_refused(tmp_path, monkeypatch):
    with pytest.raises(SourceError, match="no such file|cannot be read"):
        read_documents(tmp_path / "none.txt", BadRows(False))
    with pytest.raises(SourceError, match="has no documents"):
        read_documents(tmp_path, BadRows(False))
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        read_documents(tmp_path / "huge.txt", BadRows(False))


WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet")


def documents(count=30):
    """Documents of two sections, no two alike."""
    return [
        Document(
            f"doc{number}",
            f"Title {number}",
            tuple(
                Section(
                    heading,
                    " ".join(
                        f"The {WORDS[(number + i) % 10]} of {heading} {number} is {WORDS[(i * number) % 10]} here."
                        for i in range(6)
                    ),
                )
                for heading in ("Causes", "Care")
            ),
        )
        for number in range(count)
    ]


def test_passages_are_within_the_size_and_without_duplicates():
    passages = cut_passages([*documents(), *documents()], 150)
    assert len({passage.text for passage in passages}) == len(passages)
    assert all(len(passage.text) <= 160 for passage in passages)
    assert {passage.heading for passage in passages} == {"Causes", "Care"}


def test_a_script_without_spaces_has_passages_and_questions():
    text = "头痛是常见的症状。多喝水可以缓解。你发烧了就请看医生。"
    document = Document("a", "头痛", (Section("", text), Section("", "喝水。")))
    (passage,) = cut_passages([document])
    assert passage.text == text
    assert "sentence" in {pair.kind for pair in extract_pairs([passage], 0)}


def test_short_passages_are_left_out():
    short = Document("a", "", (Section("", "word " * (MIN_WORDS - 1)),))
    assert cut_passages([short]) == []


def test_a_passage_has_one_text_in_all_its_pairs_and_one_pair_of_each_kind():
    passages = cut_passages(documents(), 150)
    pairs = extract_pairs(passages, 1)
    assert Counter(pair.kind for pair in pairs) == {kind: len(passages) for kind in ("title", "sentence", "keywords")}
    texts = defaultdict(set)
    for pair in pairs:
        texts[pair.document].add(pair.answer)
    assert sum(map(len, texts.values())) == len({pair.answer for pair in pairs}) == len(passages)


def test_a_sentence_is_rarely_left_in_its_positive():
    passages = cut_passages(documents(200))
    by_answer = {passage.text: passage for passage in passages}
    pairs = [pair for pair in extract_pairs(passages, 1) if pair.kind == "sentence"]
    whole = [pair for pair in pairs if pair.answer in by_answer]
    assert 0.05 < len(whole) / len(pairs) < 0.15
    for pair in pairs:
        assert (pair.question in pair.answer) == (pair.answer in by_answer)
    removed = next(pair for pair in pairs if pair.answer not in by_answer)
    original = next(text for text in by_answer if removed.question in text)
    before, after = (Counter(map(str.strip, split_sentences(text))) for text in (original, removed.answer))
    assert before - after == {removed.question: 1}


def test_titles_with_headings_are_queries_unless_several_sections_have_them():
    same = [Document("a", "Home", (Section("", FEVER),)), Document("b", "HOME", (Section("", f"Not {FEVER}"),))]
    questions = {
        pair.question for pair in extract_pairs(cut_passages([*documents(1), *same]), 1) if pair.kind == "title"
    }
    assert questions == {"Title 0: Causes", "Title 0: Care"}


@pytest.mark.parametrize(
    ("title", "heading", "expected"),
    [("Fever", "", "Fever"), ("", "Care", "Care"), ("Fever", "Fever care", "Fever care"), ("A", "b", "A: b")],
)
def test_a_caption_repeats_nothing(title, heading, expected):
    assert caption(Passage("a", title, heading, "")) == expected


def test_keywords_are_in_the_order_of_the_passage():
    least, most = KEYWORDS
    for pair in extract_pairs(cut_passages(documents()), 1):
        if pair.kind == "keywords":
            words, text = pair.question.split(), re.findall(r"\w+", pair.answer.casefold())
            assert least <= len(words) <= most
            assert [text.index(word) for word in words] == sorted(text.index(word) for word in words)
            assert "the" not in words


def test_the_seed_decides_the_pairs():
    passages = cut_passages(documents())
    assert extract_pairs(passages, 1) == extract_pairs(passages, 1)
    assert extract_pairs(passages, 1) != extract_pairs(passages, 2)


@pytest.mark.parametrize("text", ["the of and to in is it that " * 3, "12 34 56 78 90 11 12 13 14", "é " * 9, "x" * 30])
def test_passages_without_words_have_no_keywords(text):
    assert extract_pairs([Passage("a", "", "", text)], 1) == []


def test_questions_of_a_language_model_have_the_whole_passage_as_answer(tmp_path):
    passages = cut_passages(documents(3))
    with chat_server(two_questions) as server:
        pairs = ask_pairs(passages, ChatModel(server.url, "tiny", cache=tmp_path), 2)
    assert [pair.answer for pair in pairs] == [passage.text for passage in passages for _ in range(2)]
    assert {pair.kind for pair in pairs} == {"llm"}
    assert all(pair.question and pair.document for pair in pairs)
    assert 'under "Title 0" and "Causes"' in "".join(map(said, server.asked))


def test_too_many_empty_or_repeated_questions_are_rejected(tmp_path):
    given = {"questions": ["a?", "b?", "c?"]}
    with chat_server(lambda body: given) as server:
        model = ChatModel(server.url, "tiny", cache=tmp_path)
        assert ask_pairs(cut_passages(documents(1))[:1], model, 2) == []
        assert len(server.asked) == 3
        given = {"questions": ["Same  one?", "same one?"]}
        assert [pair.question for pair in ask_pairs(cut_passages(documents(2))[2:3], model, 2)] == ["same one?"]
        given = {"questions": []}
        assert ask_pairs(cut_passages(documents(3))[4:5], model, 2) == []


PAIR = SyntheticPair("how – high?", FEVER, "a.txt", "Fever", "title")


def test_prepare_reads_the_written_pairs(tmp_path):
    write_pairs([PAIR], tmp_path / "new" / "pairs.jsonl")
    (pair,) = read_pairs(
        str(tmp_path / "new" / "pairs.jsonl"), ReadOptions(columns=("document", "title", "kind"))
    ).pairs
    assert (pair.question, pair.answer) == (PAIR.question, PAIR.answer)
    assert dict(pair.columns) == {"document": "a.txt", "title": "Fever", "kind": "title"}


def test_a_file_is_written_atomically(tmp_path):
    def failing():
        yield PAIR
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pairs(failing(), tmp_path / "pairs.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_a_folder_and_another_ending_are_refused(tmp_path):
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "b.jsonl").mkdir()
    check_file(tmp_path / "a.jsonl", overwrite=True)
    for name in ("a.jsonl", "b.jsonl", "c.csv"):
        with pytest.raises(OutputError):
            check_file(tmp_path / name, overwrite=name != "a.jsonl")
