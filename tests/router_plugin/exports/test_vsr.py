"""The configuration for vLLM Semantic Router (VSR): what it says, and that VSR's own validator accepts it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from registry import OutputError
from router_plugin import DomainRouter, ExportError, Fitted, Route, Tuner
from router_plugin.evaluation.outcomes import DEFAULT_WEIGHTS
from router_plugin.exports.address import read_address
from router_plugin.exports.vsr import MAPPING, configuration, write_vsr
from router_plugin.exports.vsr_options import VsrOptions
from router_plugin.server.probabilities import route_probabilities
from tests.conftest import EXAMPLES

SERVER = "http://domain-router:8700"
VALIDATE = """
import sys, yaml
yaml.safe_load = lambda text: yaml.load(text, yaml.CSafeLoader)  # the same in a fourth of the time
from cli.main import main
for path in sys.argv[1:]:
    main.main(["config", "validate", "--config", path], standalone_mode=False)
"""
"""The command ``vllm-sr config validate`` for several files."""


@pytest.fixture
def exported(make_router):
    """A function that exports a router with some settings."""

    def export(settings=None, **options):
        return configuration(make_router(**settings or {}).state, VsrOptions(server=SERVER, **options))

    return export


def fitted_to(router, thresholds):
    return Fitted(thresholds=thresholds, weights=DEFAULT_WEIGHTS, made_for=router.state.made_for())


def rules_of(config):
    return {each["name"]: each for each in config["routing"]["signals"]["embeddings"]}


def semantic_of(config):
    return config["global"]["model_catalog"]["embeddings"]["semantic"]


@pytest.mark.slow
def test_vsr_accepts_the_configurations(make_router, tmp_path):
    routes = [
        *make_router().routes,
        Route(name='a "price" in $', utterances=("no: $5 & #6", "on", "12e3", "两 ${HOME}")),
    ]
    router = DomainRouter.over(make_router().served_domains, routes)
    fitted = fitted_to(router, {route.name: 0.1 + 0.01 * number for number, route in enumerate(routes)})
    exports = [
        (state, {"signals": kind, "key_variable": "KEY", "model_refs": ("large", "tests=small")})
        for state in (router.state, router.state.with_fitted(fitted))
        for kind in ("classifiers", "embeddings")
    ]
    exports.append((router.state.with_fitted(fitted), {"target": "0.3"}))
    files = []
    for number, (state, options) in enumerate(exports):
        files.append(write_vsr(state, VsrOptions(server=SERVER, **options), tmp_path / str(number))[-1])
    of_0_3 = files[-1].read_text()
    files[-1].write_text(of_0_3.replace("default_model: general-model", "model: general-model"))
    assert files[-1].read_text() != of_0_3  # and that is all that the validator of 0.4 objects to
    done = subprocess.run([sys.executable, "-c", VALIDATE, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Configuration is valid") == len(files)
    assert done.stdout.count(f"Decisions: {len(routes)} total") == len(files)


def test_every_route_is_a_label_and_has_a_decision_by_its_probability(exported, router):
    config = exported(probability=0.7, model_refs=("large", "tests=small"))
    names = [route.name for route in router.routes]
    (rule,) = config["routing"]["signals"]["classifiers"]
    assert rule["labels"] == [*names, "none"]
    decisions = config["routing"]["decisions"]
    assert [each["name"] for each in decisions] == names
    assert len({each["priority"] for each in decisions}) == 1
    for name, decision in zip(names, decisions, strict=True):
        (condition,) = decision["rules"]["conditions"]
        assert (condition["name"], condition["label"], condition["predicate"]) == (rule["name"], name, {"gte": 0.7})
        assert decision["modelRefs"][0]["model"] == ("small" if name == "tests" else "large")
    assert config["providers"]["defaults"] == {"model": "large"}
    assert [each["name"] for each in config["providers"]["models"]] == ["large", "small"]
    external = {each["name"]: each["llm_endpoint"]["port"] for each in config["global"]["model_catalog"]["external"]}
    assert external == {"domain-router-routes": 8701, "domain-router-domains": 8700}


def test_a_fitted_threshold_is_where_a_route_is_as_probable_as_none(make_router):
    router = make_router()
    before = configuration(router.state, VsrOptions(server=SERVER))["routing"]
    (scored,) = router.examine([router.routes[0].utterances[0]])
    nearest, ((name, score),) = scored.nearest_route(), scored.nearest(1)
    threshold = score - DEFAULT_WEIGHTS.doubt(nearest.domain, nearest.general)
    Tuner(router).apply(fitted_to(router, {name: threshold}))
    (scored,) = router.examine([scored.text.query])
    found = route_probabilities(scored)
    assert found[name] == pytest.approx(found["none"], abs=1e-5)
    assert configuration(router.state, VsrOptions(server=SERVER))["routing"] == before


def test_domains_have_a_mapping_where_vsr_finds_it(make_router, tmp_path):
    state = make_router().state
    files = write_vsr(state, VsrOptions(server=SERVER), tmp_path)
    assert files == [tmp_path / MAPPING, tmp_path / "config.yaml"]
    mapping = json.loads(files[0].read_text())
    assert list(mapping["category_to_idx"]) == list(mapping["idx_to_category"].values()) == list(state.domains.names)
    config = yaml.safe_load(files[1].read_text())
    domain = config["global"]["model_catalog"]["modules"]["classifier"]["domain"]
    assert domain["category_mapping_path"] == MAPPING
    assert [each["name"] for each in config["routing"]["signals"]["domains"]] == list(state.domains.names)


def test_embeddings_are_compared_as_the_router_does(exported, router):
    config = exported(signals="embeddings")
    assert {name: tuple(rule["candidates"]) for name, rule in rules_of(config).items()} == {
        route.name: route.utterances for route in router.routes
    }
    how = semantic_of(config)["embedding_config"]
    assert (how["enable_soft_matching"], how["top_k"]) == (False, 1)
    assert how["prototype_scoring"] == {"enabled": False, "best_weight": 1.0, "top_m": 1}


@pytest.mark.parametrize(
    ("settings", "aggregation", "scoring"),
    [
        ({"aggregation": "mean"}, "mean", {"best_weight": 1.0, "top_m": 1}),
        ({"aggregation": "top-k", "top_k": 2}, "max", {"best_weight": 1e-6, "top_m": 2}),
    ],
)
def test_scores_of_routes_are_aggregated_alike(exported, settings, aggregation, scoring):
    config = exported(settings, signals="embeddings")
    assert {rule["aggregation_method"] for rule in rules_of(config).values()} == {aggregation}
    assert semantic_of(config)["embedding_config"]["prototype_scoring"] == {"enabled": False, **scoring}


def test_the_model_is_one_version_so_that_its_vectors_never_change(exported, served_domains):
    from router_plugin import JointSpace

    space = JointSpace(served_domains)
    for settings, options, model, dimension in (
        ({}, {}, f"domain-routed@{space.identifier}", space.dimension),
        ({}, {"model": "medical"}, "medical@1", 32),
        ({"strategy": "single", "single_domain": "legal"}, {}, "legal@1", 32),
        ({"strategy": "single"}, {}, "general", 32),
    ):
        found = semantic_of(exported(settings, signals="embeddings", **options))
        assert (found["endpoint"]["model"], found["embedding_config"]["target_dimension"]) == (model, dimension)


def test_thresholds_are_the_fitted_ones_or_the_routes_own(make_router):
    router = make_router(strategy="single", single_domain="medical", threshold=0.25)
    fitted = fitted_to(router, {"tests": 0.61})
    router.add_routes(Route(name="own", utterances=("a threshold of its own",), threshold=0.4))
    Tuner(router).apply(fitted)
    rules = rules_of(configuration(router.state, VsrOptions(server=SERVER, signals="embeddings")))
    assert [rules[name]["threshold"] for name in ("tests", "own", "symptoms")] == [0.61, 0.4, 0.25]
    with pytest.raises(ExportError, match="fit with --strategy single --single-domain legal"):
        configuration(router.state, VsrOptions(server=SERVER, signals="embeddings", model="legal"))
    with pytest.raises(ExportError, match="fit with another strategy"):
        configuration(router.state, VsrOptions(server=SERVER, signals="embeddings", model="domain-routed"))


def test_vsr_0_3_gets_embeddings_and_its_name_of_the_default_model(exported):
    config = exported(target="0.3")
    assert config["providers"]["defaults"] == {"default_model": "general-model"}
    assert list(config["routing"]["signals"]) == ["embeddings"]
    assert list(config["global"]["model_catalog"]) == ["embeddings"]
    with pytest.raises(ExportError, match="0.3 has none"):
        exported(target="0.3", signals="classifiers")


def test_dollar_signs_are_not_variables_but_for_the_key(served_domains):
    router = DomainRouter.over(served_domains, [Route(name="$", utterances=("what can I buy for $5 ${HOME}",))])
    options = VsrOptions(server=SERVER, signals="embeddings", key_variable="KEY")
    config = configuration(router.state, options)
    assert rules_of(config)["$$"]["candidates"] == ["what can I buy for $$5 $${HOME}"]
    assert semantic_of(config)["endpoint"]["api_key_env"] == "KEY"
    assert [each["access_key"] for each in config["global"]["model_catalog"]["external"]] == ["${KEY}"]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://domain-router:8700", ("http", "domain-router", 8700)),
        ("https://router.example/", ("https", "router.example", 443)),
        ("http://[::1]:8700", ("http", "[::1]", 8700)),
    ],
)
def test_addresses_are_read(url, address):
    assert read_address(url) == address


@pytest.mark.parametrize(
    "url",
    ["", "domain-router:8700", "ftp://x", "http://x/v1", "http://x?a=b", "http://x:port", "http://u@x", "http://"],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(ExportError, match="expected a URL without a path"):
        read_address(url)


@pytest.mark.parametrize("name", ["a:b", " a", "none"])
def test_names_that_vsr_does_not_take_are_refused(served_domains, name):
    router = DomainRouter.over(served_domains, [Route(name=name, utterances=("text",))])
    with pytest.raises(ExportError, match=f"route '{name}'"):
        configuration(router.state, VsrOptions(server=SERVER))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "medical"}, "`model` cannot be used with `signals` classifiers"),
        ({"signals": "embeddings", "probability": 0.6}, "`probability` cannot be used with"),
        ({"signals": "embeddings", "model": "sports"}, "`model` 'sports': expected one of general"),
        ({"routes_port": 8700}, "is that of `server`"),
        ({"probability": 0.4}, "probability"),
        ({"model_refs": ("a", "b")}, "a answers the queries of all other routes already"),
        ({"model_refs": ("nowhere=b",)}, "expected NAME, or ROUTE=NAME"),
    ],
)
def test_options_that_cannot_be_are_refused(exported, options, said):
    with pytest.raises(ExportError, match=said):
        exported(**options)


def test_a_router_without_routes_is_refused(served_domains):
    with pytest.raises(ExportError, match="no routes"):
        configuration(DomainRouter.over(served_domains, []).state, VsrOptions(server=SERVER))


def test_only_an_earlier_export_is_replaced(router, tmp_path):
    options = VsrOptions(server=SERVER)
    write_vsr(router.state, options, tmp_path)
    with pytest.raises(OutputError, match="set `overwrite`"):
        write_vsr(router.state, options, tmp_path)
    (tmp_path / "models" / "theirs").write_text("kept")
    write_vsr(router.state, options, tmp_path, overwrite=True)
    assert (tmp_path / "models" / "theirs").exists()
    (tmp_path / "config.yaml").write_text("version: v0.3\n")
    with pytest.raises(OutputError, match="is not an earlier output"):
        write_vsr(router.state, options, tmp_path, overwrite=True)


@pytest.mark.slow
def test_the_command_writes_and_tells_what_to_start(cli, served, tmp_path):
    given = ["--registry", served, "--routes", EXAMPLES / "routes.yaml", "--out", tmp_path / "vsr"]
    status, out, error = cli("export", "vsr", "--server", SERVER, *given, "--routes-port", "9001")
    assert (status, error) == (0, "")
    assert "--listen classify-routes=:9001" in out
    assert yaml.safe_load((tmp_path / "vsr" / "config.yaml").read_text())["version"] == "v0.3"
    for mistake, said in (
        ([], "--out"),
        (["--overwrite", "--model", "medical"], "--model cannot be used with --signals classifiers"),
        (["--overwrite", "--model-ref", "x=y"], "--model-ref 'x=y'"),
    ):
        status, out, error = cli("export", "vsr", "--server", SERVER, *given, *mistake)
        assert (status, out) == (2, "")
        assert said in error and error.count("\n") == 1
    assert cli("export", "vsr", *given, "--overwrite")[0] == 2
    status, out, _ = cli("export", "vsr", "--server", SERVER, *given, "--overwrite", "--json")
    assert (status, json.loads(out)["signals"]) == (0, "classifiers")
