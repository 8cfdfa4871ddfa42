"""Maps: what of a folder is read, where points lie, and which of them are wrong."""

import json

import numpy as np
import pytest

from router_plugin.errors import SettingsError
from router_plugin.inspection import layouts, maps
from router_plugin.inspection.beir import fingerprint, read_beir
from router_plugin.inspection.maps import MapText, MapTexts, draw_map, texts_for_map
from tests.conftest import EXAMPLES


def write(folder, documents, queries, judged):
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, count in (("corpus", documents), ("queries", queries)):
        rows = [{"_id": f"{name[0]}{number}", "title": "", "text": f"{name} {number}"} for number in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = "".join(f"q{query}\tc{document}\t{score}\n" for query, document, score in judged)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")


def test_judged_documents_come_first_where_room_is_short(tmp_path):
    write(tmp_path, 100, 30, [(25, 99, 1), (26, 98, 0)])
    part = read_beir(tmp_path, 20)
    assert list(part.queries)[:2] == ["q25", "q26"] and len(part.queries) == 10
    assert "c99" in part.documents and len(part.documents) == 10
    assert part.relevant == {"q25": ["c99"]} and part.splits["q26"] == "test"
    assert part.left_out == 110


def test_a_fault_names_the_file_and_its_line(tmp_path):
    write(tmp_path, 3, 3, [])
    before = fingerprint(tmp_path)
    (tmp_path / "corpus.jsonl").write_text('{"_id": "c0", "text": "fine"}\n[]\n')
    assert fingerprint(tmp_path) != before
    with pytest.raises(SettingsError, match="corpus.jsonl, line 2"):
        read_beir(tmp_path, 10)
    (tmp_path / "corpus.jsonl").unlink()
    for read in (fingerprint, lambda folder: read_beir(folder, 10)):
        with pytest.raises(SettingsError, match=str(tmp_path)):
            read(tmp_path)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 40])
def test_any_number_of_vectors_is_laid_out(count):
    found = layouts.lay_out(np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32))
    assert found.places.shape == (count, 2) and found.places.dtype == np.float32
    assert ((found.places >= 0) & (found.places <= 1)).all()


def test_equal_vectors_and_many_vectors_are_laid_out(monkeypatch):
    assert (layouts.lay_out(np.ones((9, 4), dtype=np.float32)).places == 0.5).all()
    monkeypatch.setattr(layouts, "MOST_FOR_TSNE", 10)
    draw = np.random.default_rng(0)
    groups = np.repeat(np.eye(8, dtype=np.float32)[:2], 30, axis=0) + 0.01 * draw.normal(size=(60, 8))
    found = layouts.lay_out(groups.astype(np.float32))
    assert found.method == "PCA"
    assert np.linalg.norm(found.places[:30].mean(axis=0) - found.places[30:].mean(axis=0)) > 0.5


def test_queries_are_right_or_wrong_by_their_first_document(served_domains):
    texts = [
        MapText("document", text, text) for text in ("aspirin and children", "rent and landlords", "stock options")
    ]
    asked = [MapText("test query", text, text) for text in ("aspirin and children", "rent and landlords")]
    drawn = draw_map(MapTexts([*texts, *asked], {3: [0], 4: [2]}), served_domains, "medical")
    errors = next(each for each in drawn.colourings if each.name == "error")
    assert [errors.labels[code] for code in errors.codes] == ["not judged"] * 3 + ["right", "wrong"]


def test_a_document_that_cannot_be_encoded_is_first_for_no_query(served_domains, monkeypatch):
    texts = [
        MapText("document", "broken", "broken"),
        MapText("document", "rent", "rent"),
        MapText("query", "rent", "1"),
    ]
    encoded = maps._encoded

    def without_the_first(*arguments):
        vectors = encoded(*arguments)
        vectors[0] = np.nan
        return vectors

    monkeypatch.setattr(maps, "_encoded", without_the_first)
    drawn = draw_map(MapTexts(texts, {2: [1]}), served_domains, "legal")
    errors = next(each for each in drawn.colourings if each.name == "error")
    assert (drawn.unreadable, [errors.labels[code] for code in errors.codes]) == (1, ["not judged", "right"])


def test_a_map_has_at_most_as_many_texts_as_it_may(served_domains):
    from router_plugin import DomainRouter, load_routes

    state = DomainRouter.over(served_domains, load_routes(EXAMPLES / "routes.yaml")).state
    kept = [MapText(maps.KEPT_QUERY, f"query {number}", "", "medical@1", number + 1) for number in range(10)]
    whole = texts_for_map(state, "medical", kept, EXAMPLES / "beir")
    assert whole.relevant and not whole.left_out
    few = texts_for_map(state, "medical", kept, EXAMPLES / "beir", most=12)
    assert len(few.texts) <= 12 and few.left_out
    drawn = draw_map(few, served_domains, "medical")
    assert not any(each.text for each in drawn.texts if each.kept)
