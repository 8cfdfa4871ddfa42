"""The joint space: its formula, what its identifier stands for, and its export as a SentenceTransformer."""

from __future__ import annotations

import copy
import json
import shutil
from functools import partial

import numpy as np
import pytest
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from registry import GENERAL, DamagedArtifactError, OutputError, Registry
from registry.model_folders.adapter_files import WEIGHTS
from router_plugin import (
    DomainRouter,
    JointSpace,
    JointSpaceError,
    QueryError,
    ServedDomains,
    Settings,
    UnmodelledDomain,
)
from router_plugin.contracts import MOST_UNREAD
from router_plugin.joint_space.export import export_joint_space, joint_space_card
from router_plugin.joint_space.module import JointSpaceModule
from router_plugin.joint_space.own_vectors import own_vector
from tests.training.samples import run_python
from training import publish

LOOSE = Settings(target_precision=0)  # these models know next to nothing
TRAVEL = UnmodelledDomain(
    name="travel", queries=("how do i book a flight to japan", "where can i cancel my train ticket")
)
TEXTS = [
    "can my landlord keep the deposit",
    "why does my chest hurt when i breathe",
    "should i pay off my mortgage early",
    "what rhymes with orange",
    "",
]
MODULE = "0_JointSpaceModule"
load = partial(SentenceTransformer, trust_remote_code=True)

words = st.sampled_from(
    ["landlord", "court", "knee", "fever", "loan", "interest", "tea", "song", "flight", "Grüße", "?"]
)
texts = st.lists(st.lists(words, max_size=6).map(" ".join) | st.text(max_size=20), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def domains(served):
    """Three registered domains and one without a model."""
    return ServedDomains(str(served), extra_domains=[TRAVEL], settings=LOOSE)


@pytest.fixture(scope="module")
def exported(domains, tmp_path_factory):
    """An export, and the joint space it is of. Tests only read it."""
    space = JointSpace(domains)
    folder = tmp_path_factory.mktemp("export") / "joint-space"
    export_joint_space(space, folder)
    return folder, space


def shares(domains, text, top):
    """Of each domain in order: what the formula gives a text."""
    clean = text.encode("utf-8", "replace").decode().strip()
    classifier = domains.classifier
    probability = dict(zip(classifier.domains, domains.classifier.classify([clean]).probabilities[0], strict=True))
    if top == 1:
        best = max(probability, key=probability.__getitem__)
        least = max(domains.settings.min_confidence, classifier.thresholds[best])
        kept = {best if probability[best] >= least else GENERAL: 1.0}
    else:
        kept = dict(sorted(probability.items(), key=lambda item: -item[1])[:top])
    return np.array([kept.get(name, 0) for name in domains.names]) / sum(kept.values())


def vector(domains, name, text):
    """What stands for a text in a domain's block."""
    encoded = domains.encode([(name, text)], {})
    own = text and encoded.unread[0] > MOST_UNREAD
    return own_vector(text, len(encoded.vectors[0])) if own else encoded.vectors[0]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("dims", [None, 8])
@pytest.mark.parametrize("top", [1, 2, 3])
@given(batch=texts)
@settings(max_examples=15)
def test_the_cosine_is_the_weighted_sum_of_the_domains_cosines(domains, top, dims, batch):
    joint = JointSpace(domains, top, dims).encode_queries(batch)
    assert joint.dtype == np.float32
    assert np.abs(np.linalg.norm(joint, axis=1) - 1).max() < 1e-5
    clean = [text.encode("utf-8", "replace").decode().strip() for text in batch]
    weight = np.stack([shares(domains, text, top) for text in batch])
    expected = np.zeros((len(batch), len(batch)))
    for column, name in enumerate(domains.names):
        own = unit(np.stack([vector(domains, name, text) for text in clean])[:, :dims])
        expected += np.sqrt(np.outer(weight[:, column], weight[:, column])) * (own @ own.T)
    assert np.abs(joint @ joint.T - expected).max() < 1e-5


def test_with_one_domain_kept_it_is_two_stage_routing(domains):
    space = JointSpace(domains)
    parts = space.encode_queries(TEXTS).reshape(len(TEXTS), len(domains.names), space.block)
    router = DomainRouter.over(domains, [], domains.settings.replace(strategy="two_stage"))
    for decision, part in zip(router.route_many(TEXTS), parts, strict=True):
        assert [domains.names[number] for number in np.flatnonzero(part.any(axis=1))] == [decision.domain]
        (own,) = domains.embed([(decision.domain, decision.query)])
        assert np.abs(part[domains.names.index(decision.domain)] - own).max() < 1e-6


def test_a_document_of_a_declared_domain_is_all_in_its_block(domains):
    space = JointSpace(domains, top=2)
    names = [*domains.names]
    joint = space.encode_documents(["my knee swells"] * len(names), names)
    assert np.abs(joint @ joint.T - np.eye(len(names))).max() < 1e-6
    for row, name in enumerate(names):
        (own,) = domains.embed([(name, "my knee swells")])
        assert np.abs(joint[row, row * space.block : (row + 1) * space.block] - own).max() < 1e-6
    some = space.encode_documents(["my knee swells", TEXTS[0]], ["legal", None])
    assert np.abs(some[0] - joint[names.index("legal")]).max() < 1e-6
    assert np.abs(some[1] - space.encode_queries([TEXTS[0]])[0]).max() < 1e-6


def test_shorter_vectors_end_in_zeros(served, real_base):
    domains = ServedDomains(str(served), base_model=str(real_base.path), settings=LOOSE)
    space = JointSpace(domains)
    assert (space.block, space.dimension) == (384, 4 * 384)
    blocks = space.encode_documents(["my knee swells"] * 2, [GENERAL, "medical"]).reshape(2, 4, 384)
    assert blocks[0, 0].all()
    medical = blocks[1, domains.names.index("medical")]
    assert medical[:32].any() and not medical[32:].any()
    assert JointSpace(domains, dims=64).dimension == 4 * 64


def test_every_text_is_embedded_once_by_every_encoder(domains, monkeypatch):
    asked, space = [], JointSpace(domains, top=5)
    encode = domains.encode
    monkeypatch.setattr(domains, "encode", lambda pairs, known: asked.append((pairs, known)) or encode(pairs, known))
    space.encode_queries([TEXTS[0], TEXTS[1], TEXTS[0]])
    ((pairs, known),) = asked
    assert len(pairs) == len(set(pairs))
    by_base = {text for row, (name, text) in enumerate(pairs) if name == GENERAL and row not in known}
    assert not by_base & {TEXTS[row] for row in domains.classifier.classify(TEXTS[:2]).embedded}
    assert {name for name, _ in pairs} <= {GENERAL, "finance", "legal", "medical"}


def test_blank_long_and_broken_texts_are_embedded(domains):
    space = JointSpace(domains)
    joint = space.encode_queries(["", " \n ", "knee " * 9000, "knee " * 8000, "caf\udce9"])
    assert np.array_equal(joint[0], joint[1]) and joint[0, : space.block].any()
    assert np.abs(joint[2] - joint[3]).max() < 1e-6
    assert np.isfinite(joint).all()
    assert space.encode_queries([]).shape == (0, space.dimension)


def test_what_cannot_be_is_refused(domains):
    wrong = (({"top": 0}, "`top` 0"), ({"dims": 0}, "`dims` 0"), ({"dims": 33}, "`dims` 33: .* 1 to 32"))
    for options, message in wrong:
        with pytest.raises(JointSpaceError, match=message):
            JointSpace(domains, **options)
    space = JointSpace(domains)
    with pytest.raises(JointSpaceError, match="unknown domain 'stars': expected general, finance, legal, medical"):
        space.encode_documents(["x"], ["stars"])
    with pytest.raises(JointSpaceError, match="expected one for every text: 1 texts, 2 domains"):
        space.encode_documents(["x"], ["legal", "legal"])
    for given_texts in ("one text", [5], [None]):
        with pytest.raises(QueryError):
            space.encode_queries(given_texts)


@pytest.fixture
def store(tmp_path, tiny_models):
    """A registry of one domain that a test may change."""
    store = Registry.open(str(tmp_path / "registry"))
    publish(tiny_models["legal"], store, force=True)
    yield store
    store.close()


@pytest.mark.slow
def test_the_identifier_stays_over_restarts_and_changes_with_what_vectors_depend_on(store, tiny_models, tiny_adapter):
    def space(top=1, dims=None, own=(), **options):
        opened = ServedDomains(store, extra_domains=own, settings=Settings(target_precision=0, **options))
        return JointSpace(opened, top, dims)

    first = space()
    assert space(preload=1, threshold=0.9, query_cache=0, dims=32).identifier == first.identifier
    other = [space(top=2), space(dims=16), space(own=[TRAVEL]), space(min_confidence=0.4), space(backend="openvino")]
    other.append(space(own=[UnmodelledDomain(name="travel", queries=("a ferry",))]))
    changed = tiny_models["legal"].parent / "legal-changed"
    shutil.copytree(tiny_models["legal"], changed, dirs_exist_ok=True)
    (changed / "note.txt").write_text("another file", encoding="utf-8")
    publish(changed, store, force=True)
    assert space().identifier == first.identifier
    store.promote("legal@2")
    promoted = space()
    publish(tiny_models["finance"], store, force=True)
    other += [promoted, space()]
    assert len({each.identifier for each in [first, *other]}) == len(other) + 1
    store.promote("legal@1")
    with pytest.raises(JointSpaceError, match=r"domain finance was missing, is finance@1 .*: embed the texts again"):
        space().check(first.record)


def test_texts_in_which_there_is_nothing_to_compare_are_told(domains):
    for top in (1, 2):
        joined = JointSpace(domains, top).join([*TEXTS, "👎", " \n"])
        assert joined.unread == [False] * 4 + [True] * 3
        assert (joined.vectors == JointSpace(domains, top).encode_queries([*TEXTS, "👎", " \n"])).all()


def test_texts_that_belong_together_have_one_domain(domains):
    space = JointSpace(domains)
    legal = ["is a price tag in a shop window something they have to stick to", "if I post my reply when does it count"]
    assert space.common_domain([*legal, "what rhymes with orange"]) == "legal"
    assert space.common_domain(["what rhymes with orange"]) == GENERAL
    assert space.common_domain(legal, among=["medical", "travel"]) in ("medical", "travel")
    with pytest.raises(QueryError, match="must be text"):
        space.common_domain([None])


def test_vectors_of_another_joint_space_are_refused_in_words(store, tiny_models):
    opened = ServedDomains(store, settings=LOOSE)
    first, second = JointSpace(opened), JointSpace(opened, top=2, dims=16)
    second.check(second.record)
    second.check(second.identifier)
    with pytest.raises(JointSpaceError) as told:
        second.check(first.record)
    for part in (first.identifier, second.identifier, "top was 1, is 2", "block_size was 32, is 16", "embed the texts"):
        assert part in str(told.value)
    with pytest.raises(
        JointSpaceError, match=f"space {first.identifier} cannot.*domain legal legal@1 .*embed the texts"
    ):
        second.check(first.identifier)


def test_a_plugin_that_embeds_is_part_of_the_identifier(store, install, exported):
    before = JointSpace(ServedDomains(store, settings=LOOSE))
    install("my_encoder", "from router_plugin import hookimpl\n\n@hookimpl\ndef encoder(folder):\n    return None\n")
    said = "plugin my_encoder of my_encoder 1.2.3 was missing, is in use"
    with pytest.raises(JointSpaceError, match=said):
        JointSpace(ServedDomains(store, settings=LOOSE)).check(before.record)
    with pytest.raises(JointSpaceError, match=f"would make other vectors here .*: {said}: undo this, or export"):
        load(str(exported[0]))


@pytest.mark.slow
def test_another_process_gets_the_same_vectors_from_a_folder_that_was_moved_and_is_only_read(
    exported, tmp_path, monkeypatch
):
    folder, space = exported
    moved = tmp_path / "elsewhere" / "model"
    shutil.copytree(folder, moved)
    before = {path: path.stat().st_mtime_ns for path in moved.rglob("*")}
    for path in (moved, *before):
        path.chmod(0o555 if path.is_dir() else 0o444)
    code = """
import json, sys
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], trust_remote_code=True)
texts = json.loads(sys.argv[2])
made = [model.encode(texts), model.encode_query(texts, batch_size=2), model.encode_document(texts, domain="legal")]
print(json.dumps([model.get_embedding_dimension(), model.max_seq_length, *(each.tolist() for each in made)]))
"""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(home))
    done = run_python(code, moved, json.dumps(TEXTS))
    assert done.returncode == 0, done.stderr
    dimension, length, *made = json.loads(done.stdout.splitlines()[-1])
    expected = space.encode_queries(TEXTS)
    declared = space.encode_documents(TEXTS, ["legal"] * len(TEXTS))
    assert (dimension, length) == (space.dimension, 64)
    for found, wanted in zip(made, [expected, expected, declared], strict=True):
        assert np.abs(np.array(found) - wanted).max() < 1e-6
    assert {path: path.stat().st_mtime_ns for path in moved.rglob("*")} == before
    for path in (moved, *before):
        path.chmod(0o755)


def test_a_loaded_export_is_a_sentence_transformer_like_any_other(exported, tmp_path):
    folder, space = exported
    model = load(str(folder), device="cpu")
    expected = space.encode_queries(TEXTS)
    assert model[0].identifier == space.identifier and space.identifier in repr(model)
    assert np.abs(model.encode(TEXTS, normalize_embeddings=True) - expected).max() < 1e-6
    assert np.abs(model.encode(TEXTS[0]) - expected[0]).max() < 1e-6
    assert np.abs(model.encode(TEXTS, convert_to_tensor=True).numpy() - expected).max() < 1e-6
    assert np.abs(model.similarity(expected, expected).numpy() - expected @ expected.T).max() < 1e-6
    prompted = model.encode_query("keep the deposit", prompt="can my landlord ")
    assert np.abs(prompted - expected[0]).max() < 1e-6
    model.save_pretrained(str(tmp_path / "saved"))
    for other in (load(str(tmp_path / "saved")), copy.deepcopy(model), SentenceTransformer(modules=[model[0]])):
        assert np.abs(other.encode(TEXTS) - expected).max() < 1e-6
    assert space.identifier in (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")


def test_the_card_of_an_export_reads_back_whatever_its_models_are_called(exported):
    folder, space = exported
    card = ModelCard.load(folder / "README.md")
    assert card.data.tags == ["sentence-transformers", "domain-router", "joint-space"]
    assert card.data.base_model is None  # a folder
    name = 'a"b: c\n---\n# d | <b>e</b>'
    block = space.record.blocks[0].model_copy(update={"domain": "yes", "model": name})
    hostile = space.record.model_copy(update={"blocks": (block,), "top": 2})
    card = ModelCard(joint_space_card(hostile, 32, "BAAI/bge-m3"))
    assert card.data.base_model == "BAAI/bge-m3"
    lines = card.text.splitlines()
    assert [line for line in lines if line.startswith("#")] == [f"# Joint space {hostile.identifier}"]
    assert '| yes | a"b: c --- \\# d \\| \\<b\\>e\\</b\\> | 0 to ' in card.text


def test_sentence_transformers_asks_for_trust_in_the_module_and_nothing_else(exported):
    folder, _ = exported
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        SentenceTransformer(str(folder))
    assert not [*folder.rglob("*.py"), *folder.rglob("*.bin"), *folder.rglob("*.pkl")]
    module = JointSpaceModule.load(str(folder), MODULE)
    assert SentenceTransformer(modules=[module]).encode(TEXTS).shape == (len(TEXTS), module.space.dimension)


def test_the_consumer_is_told_what_it_cannot_do(exported):
    folder, _ = exported
    with pytest.raises(JointSpaceError, match="truncate_dim=32 would cut whole domains off .* `dims`"):
        load(str(folder), truncate_dim=32)
    model = load(str(folder))
    with pytest.raises(JointSpaceError, match="unknown domain 'stars'"):
        model.encode_document(["x"], domain="stars")
    with pytest.raises(AttributeError):
        model.max_seq_length = 16


def _edit(path, old, new):
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


DAMAGE = {
    "base weights": ("base/model.safetensors", lambda path: path.write_bytes(b"x"), "model.safetensors does not have"),
    "base config": ("base/modules.json", lambda path: path.unlink(), "base is damaged: modules.json is missing"),
    "model": (
        "models/legal/model.safetensors",
        lambda path: path.write_bytes(b"x"),
        "legal is damaged: model.safetens",
    ),
    "one more file": ("models/legal/custom.py", lambda path: path.write_text("x"), "custom.py does not belong to it"),
    "listing": ("snapshot.json", lambda path: _edit(path, "report.json", "other.json"), "snapshot.json is damaged"),
    "no listing": ("snapshot.json", lambda path: path.unlink(), "snapshot.json cannot be read"),
    "record": ("joint_space.json", lambda path: _edit(path, '"top": 1', '"top": 2'), "joint_space.json is damaged"),
    "identifier": (
        "joint_space.json",
        lambda path: _edit(path, 'fier": "', 'fier": "0'),
        "joint_space.json is damaged",
    ),
    "own domain": ("joint_space.json", lambda path: _edit(path, "to japan", "to rome"), "other vectors here .* travel"),
    "no record": ("joint_space.json", lambda path: path.write_text("{"), "joint_space.json is not what"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_export_is_refused_by_name(exported, tmp_path, case):
    name, damage, said = DAMAGE[case]
    shutil.copytree(exported[0], tmp_path / "model")
    damage(tmp_path / "model" / MODULE / name)
    with pytest.raises((DamagedArtifactError, JointSpaceError), match=said):
        load(str(tmp_path / "model"))


@pytest.mark.slow
def test_an_export_is_whole_or_not_there(domains, tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    first, second = JointSpace(domains), JointSpace(domains, top=2)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="choose another folder"):
            export_joint_space(first, tmp_path, overwrite)
    out = tmp_path / "out"
    export_joint_space(first, out)
    with monkeypatch.context() as patch:
        patch.setattr("router_plugin.joint_space.export.joint_space_card", lambda *_: 1 / 0)
        for target in (out, tmp_path / "other"):
            with pytest.raises(ZeroDivisionError):
                export_joint_space(second, target, overwrite=True)
    assert JointSpaceModule(out / MODULE).identifier == first.identifier
    export_joint_space(second, out, overwrite=True)
    assert JointSpaceModule(out / MODULE).identifier == second.identifier
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "out"]


@pytest.mark.slow
def test_adapters_are_exported_with_the_base_model_that_they_run_on(tmp_path, tiny_adapter, tiny_base, real_base):
    store = Registry.open(str(tmp_path / "registry"))
    publish(tiny_adapter, store, force=True)
    space = JointSpace(ServedDomains(store, settings=LOOSE))
    export_joint_space(space, tmp_path / "out")
    model = load(str(tmp_path / "out"))
    assert np.abs(model.encode(TEXTS) - space.encode_queries(TEXTS)).max() < 1e-6
    other = JointSpace(ServedDomains(store, base_model=str(real_base.path), settings=LOOSE))
    with pytest.raises(JointSpaceError, match=r"medical@1 is an adapter on .* `base_model`"):
        export_joint_space(other, tmp_path / "other")
    trusting = ServedDomains(store, settings=Settings(target_precision=0, trust_remote_code=True))
    with pytest.raises(JointSpaceError, match="the folder contains no code"):
        export_joint_space(JointSpace(trusting), tmp_path / "other")
    store.close()


@pytest.mark.slow
def test_an_export_that_is_written_anew_is_served_with_its_new_adapters(tmp_path, tiny_adapter):
    store = Registry.open(str(tmp_path / "registry"))
    changed = shutil.copytree(tiny_adapter, tmp_path / "changed")
    draw, weights = np.random.default_rng(0), load_file(changed / WEIGHTS)
    random = {name: draw.normal(0, 0.2, part.shape).astype(part.dtype) for name, part in weights.items()}
    save_file(random, changed / WEIGHTS)
    loaded = []  # what a service that loads the new folder still holds
    for folder in (tiny_adapter, changed):
        store.promote(publish(folder, store, force=True).name)
        space = JointSpace(ServedDomains(store, settings=LOOSE))
        export_joint_space(space, tmp_path / "out", overwrite=True)
        loaded.append(load(str(tmp_path / "out"), device="cpu"))
        wanted = space.encode_documents(TEXTS, ["medical"] * len(TEXTS))
        assert np.abs(loaded[-1].encode_document(TEXTS, domain="medical") - wanted).max() < 1e-6
    store.close()


def test_semantic_router_indexes_an_export_with_its_own_encoder(exported, monkeypatch):
    pytest.importorskip("semantic_router")
    from semantic_router import Route
    from semantic_router.encoders import LocalEncoder
    from semantic_router.routers import IndexedRouter

    folder, space = exported
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", load)  # for trust LocalEncoder has no argument
    encoder = LocalEncoder(name=str(folder))
    routes = [Route(name="rent", utterances=[TEXTS[0]]), Route(name="symptoms", utterances=[TEXTS[1]])]
    router = IndexedRouter(encoder, routes)
    assert np.abs(np.array(encoder(TEXTS)) - space.encode_queries(TEXTS)).max() < 1e-6
    assert router(TEXTS[0]).name == "rent" and router(TEXTS[1]).name == "symptoms"


@pytest.mark.slow
def test_the_command_exports_and_says_what(cli, served, tmp_path):
    arguments = (
        "joint-space",
        tmp_path / "out",
        "--registry",
        served,
        "--target-precision",
        0,
        "--top",
        2,
        "--dims",
        16,
    )
    status, out, err = cli(*arguments, "--json")
    assert status == 0, err
    told = json.loads(out)
    assert (told["dimension"], told["top"], len(told["blocks"])) == (64, 2, 4)
    model = load(str(tmp_path / "out"))
    expected = JointSpace(ServedDomains(str(served), settings=LOOSE), top=2, dims=16)
    assert model[0].identifier == told["identifier"] == expected.identifier
    assert np.abs(model.encode(TEXTS) - expected.encode_queries(TEXTS)).max() < 1e-5  # probabilities are of a batch
    status, out, _ = cli(*arguments, "--overwrite")
    assert status == 0 and told["identifier"] in out and "legal@1" in out and "64 dimensions" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), ("exists already", "--overwrite")),
        (("--overwrite",), ("joint_space.json", "not an earlier output")),
        (("--top", 0), ("--top",)),
        (("--extra-domains", "no.yaml"), ("no.yaml", "cannot be read")),
        (("--backend", "abacus"), ("abacus",)),
        (("--dims", 999), ("dims 999", "from 1 to 32")),
    ],
)
def test_a_mistake_ends_with_one_line_and_nothing_written(cli, served, tmp_path, options, said):
    out = tmp_path / "out"
    if "exists already" in said or "--overwrite" in options:
        out.mkdir()
        (out / "notes.txt").write_text("mine", encoding="utf-8")
    before = list(tmp_path.rglob("*"))
    status, printed, err = cli("joint-space", out, "--registry", served, *options)
    assert (status, printed, err.lower().count("error:")) == (2, "", 1)
    assert all(part in err for part in said)
    assert list(tmp_path.rglob("*")) == before


def test_a_folder_that_was_exported_before_the_module_moved_says_what_to_do(exported, tmp_path):
    folder = shutil.copytree(exported[0], tmp_path / "old")
    listing = folder / "modules.json"
    text = listing.read_text(encoding="utf-8")
    assert "router_plugin.joint_space.module.JointSpaceModule" in text
    listing.write_text(text.replace("joint_space.module", "joint_module"), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(JointSpaceError, match="exported by an earlier build.*export it again"):
            load(str(folder))
