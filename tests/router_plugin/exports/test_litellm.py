"""The configuration for LiteLLM's proxy: what it says. That LiteLLM takes it is tested with LiteLLM itself."""

from __future__ import annotations

import json

import pytest
import yaml

from registry import OutputError
from router_plugin import DomainRouter, ExportError, JointSpace, Route
from router_plugin.exports.litellm import CHOOSING, configuration, write_litellm
from router_plugin.exports.litellm_options import LitellmOptions
from router_plugin.exports.vsr import write_vsr
from router_plugin.exports.vsr_options import VsrOptions
from tests.conftest import EXAMPLES

SERVER = "http://domain-router:8700"
ONE = ("tests=small",)


@pytest.fixture
def exported(make_router):
    """A function that exports a router with some settings: the parameters of each model by its name."""

    def export(settings=None, **options):
        given = LitellmOptions(server=SERVER, **{"model_refs": ONE} | options)
        models = configuration(make_router(**settings or {}).state, given)["model_list"]
        assert len({each["model_name"] for each in models}) == len(models)
        return {each["model_name"]: each["litellm_params"] for each in models}

    return export


def choosing(models):
    return models[CHOOSING]["complexity_router_config"]


def test_routes_with_a_model_of_their_own_are_tiers_and_all_others_have_the_default_one(exported, router):
    models = exported(model_refs=("large", "tests=small", "symptoms=small", "borrowing=openai/gpt-5"))
    found = choosing(models)
    assert found["tiers"] == {"symptoms": "small", "tests": "small", "borrowing": "openai/gpt-5", "none": "large"}
    assert found["fallback_tier"] == "none"
    described = {each["name"]: each["description"] for each in found["tier_definitions"]}
    assert list(described) == list(found["tiers"])
    assert described["tests"] == next(route.description for route in router.routes if route.name == "tests")
    placeholder = "http://127.0.0.1:8000/v1"
    assert models["small"] == {"model": "hosted_vllm/small", "api_base": placeholder}
    assert models["openai/gpt-5"] == {"model": "openai/gpt-5"}
    assert list(models) == [CHOOSING, "domain-routed", "small", "openai/gpt-5", "large"]


def test_domains_are_tiers_beside_general(exported):
    found = choosing(exported(tiers="domains", model_refs=("legal=small",)))
    assert (found["tiers"], found["fallback_tier"]) == ({"legal": "small", "general": "general-model"}, "general")


def test_the_server_is_asked_within_a_deadline_and_told_nothing_of_earlier_turns(exported):
    found = choosing(exported())
    asked = found["opensource_classifier_config"]
    assert (found["classifier_type"], asked["provider"], asked["api_base"]) == ("oss_classifier", "jev", SERVER)
    assert (asked["timeout_ms"], found["classifier_context_window_size"]) == (1000, 0)


def test_keys_are_names_of_variables(exported):
    for given, key in (({"key_variable": "KEY"}, "os.environ/KEY"), ({}, "no-key")):
        models = exported(**given)
        assert choosing(models)["opensource_classifier_config"]["api_key"] == key
        assert models["domain-routed"]["api_key"] == key


def test_the_embedding_model_is_one_version_so_that_its_vectors_never_change(exported, served_domains):
    joint = f"openai/domain-routed@{JointSpace(served_domains).identifier}"
    for settings, options, name, model in (
        ({}, {}, "domain-routed", joint),
        ({}, {"model": "medical"}, "medical", "openai/medical@1"),
        ({"strategy": "single", "single_domain": "legal"}, {}, "legal", "openai/legal@1"),
    ):
        found = exported(settings, **options)[name]
        assert (found["model"], found["api_base"]) == (model, f"{SERVER}/v1")


def test_a_route_is_described_on_one_line_by_its_utterances_if_by_nothing_else(served_domains):
    router = DomainRouter.over(served_domains, [Route(name="a", utterances=("one\ntwo", "x" * 600))])
    found = configuration(router.state, LitellmOptions(server=SERVER, model_refs=("a=b",)))["model_list"][0]
    description = found["litellm_params"]["complexity_router_config"]["tier_definitions"][0]["description"]
    assert description.startswith("one two; xxx") and len(description) == 500


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model_refs": ("large",)}, "a model for 0 routes: LiteLLM takes from 1 to 7"),
        ({"model": "sports"}, "`model` 'sports': expected one of general"),
        ({"model_refs": ("a", "b")}, "a answers the queries of all other routes already"),
        ({"model_refs": ("nowhere=b",)}, "expected NAME, or ROUTE=NAME with the name of a route"),
        ({"tiers": "domains", "model_refs": ("tests=b",)}, "DOMAIN=NAME with the name of a domain"),
        ({"tiers": "domains", "model_refs": ("general=b",)}, "DOMAIN=NAME with the name of a domain"),
        ({"model_refs": ("tests=domain-router",)}, "domain-router: is a name of this configuration"),
        ({"model": "legal", "model_refs": ("tests=legal",)}, "legal: is a name of this configuration"),
    ],
)
def test_options_that_cannot_be_are_refused(exported, options, said):
    with pytest.raises(ExportError, match=said):
        exported(**options)


@pytest.mark.parametrize("names", [("a\nb",), (" a",), ("a" * 65,), ("Tests", "tests"), ("None",), ("none",)])
def test_names_that_litellm_does_not_take_are_refused(served_domains, names):
    router = DomainRouter.over(served_domains, [Route(name=name, utterances=("text",)) for name in names])
    refs = tuple(f"{name}=small" for name in names)
    with pytest.raises(ExportError, match="route "):
        configuration(router.state, LitellmOptions(server=SERVER, model_refs=refs))


def test_more_routes_with_a_model_of_their_own_than_litellm_has_tiers_are_refused(served_domains):
    names = [f"route {number}" for number in range(8)]
    router = DomainRouter.over(served_domains, [Route(name=name, utterances=(name,)) for name in names])
    refs = [f"{name}=small" for name in names]
    assert configuration(router.state, LitellmOptions(server=SERVER, model_refs=tuple(refs[:7])))
    with pytest.raises(ExportError, match="8 routes: LiteLLM takes from 1 to 7"):
        configuration(router.state, LitellmOptions(server=SERVER, model_refs=tuple(refs)))


def test_domains_that_the_server_would_take_for_routes_are_refused(served_domains):
    names = ("legal", "general")
    router = DomainRouter.over(served_domains, [Route(name=name, utterances=(name,)) for name in names])
    with pytest.raises(ExportError, match="all of them are names of routes"):
        configuration(router.state, LitellmOptions(server=SERVER, tiers="domains", model_refs=("legal=small",)))


def test_a_router_without_routes_is_refused_unless_domains_decide(served_domains):
    state = DomainRouter.over(served_domains, []).state
    with pytest.raises(ExportError, match="no routes"):
        configuration(state, LitellmOptions(server=SERVER))
    assert configuration(state, LitellmOptions(server=SERVER, tiers="domains", model_refs=("legal=small",)))


def test_only_an_earlier_export_of_the_same_kind_is_replaced(router, tmp_path):
    options = LitellmOptions(server=SERVER, model_refs=ONE)
    write_litellm(router.state, options, tmp_path)
    with pytest.raises(OutputError, match="set `overwrite`"):
        write_litellm(router.state, options, tmp_path)
    write_litellm(router.state, options, tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="is not an earlier output"):
        write_vsr(router.state, VsrOptions(server=SERVER), tmp_path, overwrite=True)


@pytest.mark.slow
def test_the_command_writes_the_file(cli, served, tmp_path):
    given = ["--registry", served, "--routes", EXAMPLES / "routes.yaml", "--out", tmp_path / "litellm"]
    status, out, error = cli("export", "litellm", "--server", SERVER, *given, "--model-ref", "tests=small")
    assert (status, error) == (0, "")
    assert "config.yaml" in out
    config = yaml.safe_load((tmp_path / "litellm" / "config.yaml").read_text())
    assert config["model_list"][0]["model_name"] == CHOOSING
    for mistake, said in (
        (["--model-ref", "tests=small"], "--out"),
        (["--overwrite"], "--model-ref names a model for 0 routes"),
        (["--overwrite", "--model-ref", "x=y"], "--model-ref 'x=y'"),
    ):
        status, out, error = cli("export", "litellm", "--server", SERVER, *given, *mistake)
        assert (status, out) == (2, "")
        assert said in error and error.count("\n") == 1
    more = ["--overwrite", "--json", "--model-ref", "tests=small"]
    status, out, _ = cli("export", "litellm", "--server", SERVER, *given, *more)
    assert (status, json.loads(out)["tiers"]) == (0, "routes")
