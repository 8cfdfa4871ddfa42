"""Plugins: who is asked first, how a failing one is named, and that observers never fail anything."""

import ast
import inspect
import logging

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from registry import RegistryError
from router_plugin import (
    Classification,
    DomainRouter,
    PluginError,
    Route,
    Tuner,
    explain,
    hookimpl,
    hookspecs,
    open_registry,
)
from router_plugin.plugins.builtin import BUILT_IN
from router_plugin.plugins.manager import Plugins
from training import JudgeOptions, TrainingError, publish

ROUTE = Route(name="human", utterances=("let me talk to a person",))
HOOKS = [name for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspecs.PROJECT}_spec")]


class GeneralOnly:
    """A classifier that is always sure of the same domain."""

    def __init__(self, domains=("general",)):
        self.domains = domains
        self.thresholds = {}

    def classify(self, queries):
        return Classification(np.tile(np.eye(len(self.domains))[-1], (len(queries), 1)))


def plugin(hook, function):
    """An object that implements one hook."""
    return type("Plugin", (), {hook: staticmethod(hookimpl(function))})()


def with_plugins(**named):
    """The built-in plugins, a cheap classifier, and these."""
    listeners = Plugins()
    listeners.register(plugin("domain_classifier", lambda: GeneralOnly()), "quick")
    for name, added in named.items():
        listeners.register(added, name)
    return listeners


def broken(*_):
    raise RuntimeError("out of order")


@pytest.fixture
def make_router(tmp_path, tiny_base):
    """A router without domains, with the given plugins."""

    def make(**named):
        return DomainRouter(
            [ROUTE], str(tmp_path / "registry"), base_model=str(tiny_base.path), plugin_manager=with_plugins(**named)
        )

    return make


def test_built_in_plugins_are_listed_with_their_hooks():
    loaded = {plugin.name: plugin for plugin in Plugins().loaded()}
    assert set(BUILT_IN) <= set(loaded)
    assert loaded["cascade-classifier"].hooks == ("domain_classifier",)
    assert loaded["torch-encoder"].hooks == ("encoder",)
    assert {loaded[name].source for name in BUILT_IN} == {"built in"}


def test_an_installed_package_is_listed_with_its_name_and_version(install):
    source = "from router_plugin import hookimpl\n@hookimpl\ndef before_route(query): return None\n"
    install("listed_plugin", source, entry="listed")
    loaded = {plugin.name: plugin for plugin in Plugins().loaded()}
    assert loaded["listed"].source == "listed_plugin 1.2.3"
    assert loaded["listed"].hooks == ("before_route",)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_docstring_of_one_line(hook):
    doc = inspect.getdoc(getattr(hookspecs, hook))
    assert doc and "\n" not in doc and doc.endswith(".")


def test_the_catalogue_holds_nothing_but_hooks():
    functions = [
        node.name for node in ast.parse(inspect.getsource(hookspecs)).body if isinstance(node, ast.FunctionDef)
    ]
    assert functions == HOOKS


def test_a_third_party_classifier_is_asked_before_the_built_in_one(make_router):
    decision = make_router().route("my knee hurts")
    assert decision.domains == {"general": 1.0}


def test_a_plugin_without_an_answer_leaves_it_to_the_next(make_router):
    router = make_router(silent=plugin("domain_classifier", lambda: None))
    assert router.route("hello").domains == {"general": 1.0}


def test_a_third_party_encoder_replaces_the_built_in_one(make_router):
    class Constant:
        nbytes = 0

        def encode(self, texts):
            return np.tile(np.float32([0.6, 0.8]), (len(texts), 1))

        def truncates(self, text):
            return True

        def key(self, text):
            return text

    decision = make_router(constant=plugin("encoder", lambda folder, version: Constant())).route("anything")
    assert decision.score == pytest.approx(1)
    assert decision.truncated


def test_a_plugin_that_fails_to_choose_a_classifier_is_named(make_router):
    with pytest.raises(PluginError, match=r"plugin bad failed in domain_classifier.*out of order"):
        make_router(bad=plugin("domain_classifier", lambda: broken()))


@pytest.mark.parametrize("hook", ["encoder", "before_route", "after_route"])
def test_a_plugin_that_fails_on_a_query_is_named(make_router, hook):
    functions = {
        "encoder": lambda folder: broken(),
        "before_route": lambda query: broken(),
        "after_route": lambda decision: broken(),
    }
    router = make_router(bad=plugin(hook, functions[hook]))
    with pytest.raises(PluginError, match=rf"plugin bad failed in {hook}.*out of order"):
        router.route("hello")


def test_a_plugin_that_raises_one_of_our_errors_is_named_too(make_router):
    def refuse(query):
        raise RegistryError("no connection")

    with pytest.raises(PluginError, match=r"plugin bad .*before_route.*no connection"):
        make_router(bad=plugin("before_route", refuse)).route("hello")


def test_an_error_that_a_built_in_plugin_raises_for_its_user_passes_as_it_is():
    with pytest.raises(TrainingError, match="nobody"):
        Plugins().first_result("relevance_judge", options=JudgeOptions(judge="nobody"))


def test_a_hook_that_no_plugin_answers_is_named():
    with pytest.raises(PluginError, match="no plugin answered the hook domain_classifier"):
        _without_built_in().first_result("domain_classifier", profiles={}, queries={}, base=None, settings=None)


def _without_built_in():
    plugins = Plugins()
    for name in BUILT_IN:
        plugins._manager.unregister(name=name)
    return plugins


def test_a_classifier_that_fails_on_a_query_is_named(make_router):
    class Failing(GeneralOnly):
        def classify(self, queries):
            broken()

    with pytest.raises(PluginError, match=r"bad.*out of order"):
        make_router(bad=plugin("domain_classifier", lambda: Failing())).route("hello")


def test_a_classifier_of_unknown_domains_is_refused(make_router):
    with pytest.raises(PluginError, match=r"(?s)bad.*astrology"):
        make_router(bad=plugin("domain_classifier", lambda: GeneralOnly(("general", "astrology")))).route("hello")


def test_a_changed_query_is_routed_in_place_of_the_given_one(make_router):
    router = make_router(rewrite=plugin("before_route", lambda query: "let me talk to a person"))
    decision = router.route("gibberish")
    assert decision.query == "gibberish"
    assert decision.score == pytest.approx(1, abs=1e-5)


def test_a_query_of_numpy_is_plain_text_for_plugins_and_callers(make_router):
    seen = []
    router = make_router(
        nosy=plugin("before_route", lambda query: seen.append(type(query))),
        early=plugin("before_route", lambda query: query.lower()),
    )
    queries = np.array(["LET me talk to a person", "Anything else"])
    decisions = router.route_many(queries)
    assert [decision.query for decision in decisions] == queries.tolist()
    assert {type(decision.query) for decision in decisions} | set(seen) == {str}


def test_labelled_queries_may_be_of_numpy(make_router):
    router = make_router()
    queries, labels, domains = (np.array([text] * 2) for text in ("let me talk to a person", "human", "general"))
    assert Tuner(router).fit(queries, labels, domains).thresholds.keys() == {"human"}
    assert Tuner(router).evaluate(queries, labels).accuracy == 1


def test_a_changed_decision_is_what_the_caller_gets(make_router):
    from dataclasses import replace

    router = make_router(override=plugin("after_route", lambda decision: replace(decision, route="elsewhere")))
    assert [decision.route for decision in router.route_many(["a", "b"])] == ["elsewhere"] * 2


def test_every_plugin_sees_what_the_one_before_it_changed(make_router):
    seen = []
    router = make_router(
        late=plugin("before_route", lambda query: seen.append(query)),
        early=plugin("before_route", lambda query: query + " and more"),
    )
    router.route("this")
    assert seen == ["this and more"]


@pytest.mark.parametrize(
    ("hook", "function", "said"),
    [
        ("before_route", lambda query: 5, "int, expected str"),
        ("after_route", lambda decision: "legal", "str, expected Decision"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_named(make_router, hook, function, said):
    router = make_router(odd=plugin(hook, function))
    with pytest.raises(PluginError, match=rf"plugin odd: {hook} answered {said}"):
        router.route("hello")


def test_an_unknown_hook_is_refused_naming_the_plugin():
    with pytest.raises(PluginError, match=r"plugin typo .*befor_route"):
        Plugins().register(plugin("befor_route", lambda query: None), "typo")


def test_a_wrong_argument_is_refused_naming_the_plugin():
    with pytest.raises(PluginError, match=r"plugin typo .*(?s:.)*text"):
        Plugins().register(plugin("before_route", lambda text: None), "typo")


def test_a_wrapper_is_refused_naming_the_plugin():
    def wrap(query):
        return (yield)

    with pytest.raises(PluginError, match="plugin wrapper"):
        Plugins().register(
            type("Plugin", (), {"before_route": staticmethod(hookimpl(wrap, wrapper=True))})(), "wrapper"
        )


def test_a_refused_plugin_leaves_no_trace():
    listeners = Plugins()
    before = listeners.loaded()
    for function in (lambda query: None, lambda text: None):
        name = "befor_route" if "query" in inspect.signature(function).parameters else "before_route"
        with pytest.raises(PluginError):
            listeners.register(plugin(name, function), "typo")
    assert listeners.loaded() == before


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(PluginError, match="torch-encoder"):
        Plugins().register(plugin("before_route", lambda query: None), "torch-encoder")


@pytest.mark.parametrize("error", [RuntimeError, RegistryError])
def test_an_observer_that_raises_is_logged_and_the_others_still_hear(tmp_path, tiny_models, caplog, error):
    heard = []

    def fail(**_):
        raise error("out of order")

    class Listener:
        @hookimpl
        def version_published(self, version):
            heard.append(version.name)

        @hookimpl
        def alias_moved(self, domain, alias, version, previous):
            heard.append((domain, alias, version, previous))

    class Failing:
        @hookimpl
        def version_published(self, version):
            fail()

        @hookimpl
        def alias_moved(self, domain):
            fail()

    store = open_registry(
        str(tmp_path / "registry"), with_plugins(early=Failing(), listener=Listener(), late=Failing())
    )
    with caplog.at_level(logging.ERROR):
        publish(tiny_models["legal"], store, force=True)
        publish(tiny_models["legal"], store, force=True)
        store.promote("legal")
        store.rollback("legal")
    store.close()
    assert heard == [
        "legal@1",
        ("legal", "champion", 1, None),
        "legal@2",
        ("legal", "candidate", 2, None),
        ("legal", "champion", 2, 1),
        ("legal", "champion", 1, 2),
    ]
    assert {record.getMessage() for record in caplog.records} == {
        "observer plugin failed in version_published",
        "observer plugin failed in alias_moved",
    }
    assert "plugin early failed" in caplog.text and "plugin late failed" in caplog.text
    assert "out of order" in caplog.text


COMMAND = """
from router_plugin import hookimpl

@hookimpl
def register_commands(app):
    @app.command("greet")
    def greet(name: str) -> None:
        print("hello", name)
"""


def test_a_classifier_that_fails_to_explain_is_named(make_router):
    class Dumb(GeneralOnly):
        def explain(self, text):
            broken()

    with pytest.raises(PluginError, match=r"plugin bad: its domain classifier failed.*out of order"):
        explain(make_router(bad=plugin("domain_classifier", lambda: Dumb())), "hello")


def test_plugins_see_an_explained_query_once(make_router):
    seen = []
    explain(make_router(nosy=plugin("before_route", lambda query: seen.append(query))), "hello")
    assert seen == ["hello"]


@pytest.mark.parametrize("changed", [{"route": "elsewhere"}, {"domain": "astrology"}, {"route": None, "domain": "law"}])
def test_a_decision_that_a_plugin_changed_to_what_is_not_served_is_explained_by_what_was_compared(make_router, changed):
    from dataclasses import replace

    plain = explain(make_router(), "hello")
    override = plugin("after_route", lambda decision: replace(decision, **changed))
    found = explain(make_router(override=override), "hello")
    assert {name: getattr(found.decision, name) for name in changed} == changed
    assert (found.nearest, found.nearest_in_general, found.threshold) == (
        plain.nearest,
        plain.nearest_in_general,
        plain.threshold,
    )
    assert found.nearest


def test_a_plugin_adds_a_command(install):
    install("greeting_plugin", COMMAND)
    app = typer.Typer()
    app.callback()(lambda: None)
    Plugins().notify("register_commands", app=app)
    result = CliRunner().invoke(app, ["greet", "you"])
    assert result.exit_code == 0
    assert result.stdout == "hello you\n"


def test_the_command_line_runs_a_command_of_a_plugin(install, cli, monkeypatch):
    from router_plugin.cli import app

    install("greeting_plugin", COMMAND)
    monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
    assert cli("greet", "you")[:2] == (0, "hello you\n")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import a_module_that_is_not_there", "a_module_that_is_not_there"),
        ("raise RuntimeError('no licence')", "no licence"),
        ("def (", "SyntaxError"),
        ("from router_plugin import hookimpl\n@hookimpl\ndef befor_route(query): pass\n", "befor_route"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named_and_the_exit_status_is_2(install, cli, source, said):
    install("broken_plugin", source, entry="broken")
    with pytest.raises(PluginError, match=r"broken") as error:
        Plugins()
    assert "broken_plugin 1.2.3" in str(error.value) and said in str(error.value)
    status, out, err = cli("plugins")
    assert (status, out) == (2, "")
    assert err.startswith("error: plugin broken") and err.count("error:") == 1 and "Traceback" not in err


@pytest.mark.parametrize("way", ["sys.exit(0)", "sys.exit('no licence')", "raise SystemExit", "quit()"])
def test_a_plugin_that_ends_the_process_when_it_is_imported_is_named(install, cli, way):
    install("leaving", f"import sys\n{way}\n")
    for command in (("plugins",), ("models", "list"), ("--help",)):
        status, out, err = cli(*command)
        assert (status, out) == (2, "")
        assert err.startswith("error: plugin leaving of leaving 1.2.3 cannot be imported: it called sys.exit(")
        assert len(err.splitlines()) == 1


def test_a_plugin_that_raises_when_it_is_imported_is_named(install, cli):
    install("failing", "1 / 0\n")
    status, _, err = cli("plugins")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "plugin failing of failing 1.2.3 cannot be imported: ZeroDivisionError" in err


@pytest.mark.parametrize("hook", ["before_route", "after_route", "domain_classifier", "encoder", "registry_backend"])
def test_a_plugin_that_ends_the_process_in_a_hook_is_named(tmp_path, tiny_base, hook):
    def leave():
        raise SystemExit(3)

    with pytest.raises(PluginError, match=rf"plugin leaving failed in {hook}: it called sys.exit\(3\)"):
        DomainRouter(
            [ROUTE],
            str(tmp_path),
            base_model=str(tiny_base.path),
            plugin_manager=with_plugins(leaving=plugin(hook, leave)),
        ).route("hello")


def test_a_classifier_of_a_plugin_that_ends_the_process_is_named(tmp_path, tiny_base):
    class Leaving(GeneralOnly):
        def classify(self, queries):
            raise SystemExit("enough")

    listeners = Plugins()
    listeners.register(plugin("domain_classifier", Leaving), "leaving")
    router = DomainRouter([ROUTE], str(tmp_path), base_model=str(tiny_base.path), plugin_manager=listeners)
    with pytest.raises(
        PluginError, match=r"plugin leaving: its domain classifier failed: it called sys.exit\('enough'\)"
    ):
        router.route("hello")


def test_a_plugin_that_ends_the_process_while_it_adds_commands_is_logged(install, cli, caplog):
    source = (
        "import sys\nfrom router_plugin import hookimpl\n\n@hookimpl\ndef register_commands(app):\n    sys.exit(4)\n"
    )
    install("leaving", source)
    status, out, _ = cli("plugins", "--json")
    assert status == 0 and "leaving" in out
    assert "it called sys.exit(4)" in caplog.text
