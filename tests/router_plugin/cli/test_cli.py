"""The command line: help, JSON, exit statuses, and mistakes that end with one line."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import typer.main

from registry import Registry
from router_plugin.cli import app
from router_plugin.cli.named_values import joined_sets
from tests.conftest import EXAMPLES, read_json_lines
from training import prepare, publish, read_pairs, read_prepared

ROUTES = EXAMPLES / "routes.yaml"
FEW = ("--iterations", 1, "--min-steps", 1, "--max-epochs", 1, "--mix-ratio", 0, "--device", "cpu")


def commands(group, path=()):
    """Every command with its path."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def mistake(result, *said):
    """Check that a run ended like a user's mistake, and that its one line says so much."""
    status, out, err = result
    assert status == 2
    assert out == ""
    assert [line for line in err.splitlines() if line.lower().startswith("error:")] != []
    assert err.lower().count("error:") == 1
    assert "Traceback" not in err
    assert not err.startswith("error:") or len(err.splitlines()) == 1
    for part in said:
        assert str(part) in err


@pytest.fixture
def own(tmp_path, tiny_models):
    """A registry folder that a test may change: two versions of legal."""
    store = Registry.open(str(tmp_path / "registry"))
    for _ in range(2):
        publish(tiny_models["legal"], store, force=True)
    store.close()
    return tmp_path / "registry"


@pytest.fixture
def prepared(tmp_path, pairs_file):
    prepare(read_pairs(str(pairs_file)), tmp_path / "prepared")
    return tmp_path / "prepared"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example_of_it(cli, path):
    status, out, _ = cli(*path, "--help")
    assert status == 0
    assert f"Example: domain-router {' '.join(path)}" in " ".join(out.split())


def test_help_lists_every_command(cli):
    _, out, _ = cli("--help")
    for path in COMMANDS:
        assert f"  {path[0]} " in out
    for group in {path[0] for path in COMMANDS if len(path) > 1}:
        _, out, _ = cli(group, "--help")
        for path in COMMANDS:
            assert path[0] != group or f"  {path[1]} " in out


@pytest.mark.slow
def test_help_is_quick_and_imports_no_torch():
    code = (
        "import sys\nfrom router_plugin.cli import main\nsys.argv = ['domain-router', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        "    heavy = {'torch', 'transformers', 'sklearn', 'scipy', 'datasets', 'sqlalchemy', 'fastapi', 'mcp'}\n"
        "    heavy &= set(sys.modules)\n"
        "    assert end.code in (0, None), end.code\n    assert not heavy, heavy\n"
    )

    def seconds(arguments):
        before = os.times()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, timeout=60)
        after = os.times()  # of the processor, which other work on the machine hardly changes
        return sum(after[2:4]) - sum(before[2:4])

    for arguments in (["--help"], ["train", "--help"]):
        assert any(seconds(arguments) < 2 * 0.5 for _ in range(5))


def test_a_decision_is_printed_as_a_table_and_as_json(cli, served):
    status, out, _ = cli("route", "please get me a human", "--routes", ROUTES, "--registry", served)
    assert status == 0
    assert "please get me a human" in out and "domain" in out
    status, out, _ = cli("route", "please get me a human", "--routes", ROUTES, "--registry", served, "--json")
    decision = json.loads(out)
    assert (status, decision["query"]) == (0, "please get me a human")
    assert set(decision["domains"]) == {"general", "finance", "legal", "medical"}


def test_a_batch_gives_one_answer_a_line_in_order_also_for_blank_lines(cli, served, tmp_path):
    queries = tmp_path / "queries.txt"
    lines = [
        "why does my chest hurt",
        "",
        "  ",
        "tell me a joke",
        "Küche\x00",
        "",
        *(f"question {n}" for n in range(260)),
    ]
    queries.write_text("\ufeff" + "".join(f"{line}\r\n" for line in lines), encoding="utf-8", newline="")
    status, out, _ = cli("route", "--batch", queries, "--routes", ROUTES, "--registry", served, "--json")
    decisions = read_json_lines(out)
    assert status == 0
    assert [decision["query"] for decision in decisions] == lines
    assert [decision["reason"] == "the query is empty" for decision in decisions] == [
        not line.strip() for line in lines
    ]


def test_an_argument_that_is_not_utf_8_is_routed_and_printed(cli, served):
    query = os.fsdecode(b"caf\xe9 in the court")
    status, out, _ = cli("route", query, "--routes", ROUTES, "--registry", served, "--json")
    assert status == 0 and "court" in json.loads(out)["query"]


def test_the_options_of_route_reach_the_router(cli, served, tiny_base):
    files = ("--routes", ROUTES, "--routes", EXAMPLES / "legal_routes.yaml")
    limits = ("--min-confidence", 1, "--threshold", 1, "--device", "cpu", "--base-model", tiny_base.path)
    decision = json.loads(cli("route", "evict me", *files, *limits, "--registry", served, "--json")[1])
    assert (decision["domain"], decision["route"]) == ("general", None)
    assert decision["model_version"] == str(tiny_base.path)


def test_routes_of_several_files_must_differ_in_name(cli, served):
    mistake(cli("route", "x", "--routes", ROUTES, "--routes", ROUTES, "--registry", served), "duplicate route name")


def test_the_registry_may_be_named_by_the_environment(cli, served, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_REGISTRY", str(served))
    assert {version["domain"] for version in json.loads(cli("models", "list", "--json")[1])} == {
        "finance",
        "legal",
        "medical",
    }


def test_plugins_are_listed(cli):
    status, out, _ = cli("plugins", "--json")
    assert status == 0 and {"cascade-classifier", "torch-encoder"} <= {plugin["name"] for plugin in json.loads(out)}
    assert "torch-encoder" in cli("plugins")[1]


def test_prepare_says_what_it_wrote(cli, pairs_file, tmp_path):
    status, out, _ = cli("prepare", pairs_file, "--out", tmp_path / "one")
    assert status == 0 and "40 pairs" in out
    status, out, _ = cli("prepare", pairs_file, "--out", tmp_path / "two", "--json", "--split", "random")
    manifest = json.loads(out)
    assert (status, manifest["counts"]["pairs"], manifest["skipped_rows"]) == (0, 40, [])


def test_versions_are_listed_shown_promoted_and_rolled_back(cli, own):
    registry = ("--registry", own)
    listed = json.loads(cli("models", "list", *registry, "--json")[1])
    assert [(version["name"], version["aliases"]) for version in listed] == [
        ("legal@1", ["champion"]),
        ("legal@2", ["candidate"]),
    ]
    status, out, _ = cli("models", "list", *registry)
    assert status == 0 and "legal@1" in out and "candidate" in out
    shown = json.loads(cli("models", "show", "legal@candidate", *registry, "--json")[1])
    assert (shown["domain"], shown["version"], shown["parent"]) == ("legal", 2, 1)
    status, out, _ = cli("models", "show", "legal", *registry)
    assert status == 0 and "legal@1" in out and "mrr@5" in out and "model.safetensors" in out
    assert json.loads(cli("models", "promote", "legal", *registry, "--json")[1])["name"] == "legal@2"
    status, out, _ = cli("models", "rollback", "legal", *registry)
    assert status == 0 and out.startswith("legal@1 is the champion of legal")
    mistake(cli("models", "rollback", "legal", *registry), "legal", "no earlier champion")
    status, out, _ = cli("models", "promote", "legal@2", *registry)
    assert status == 0 and out.startswith("legal@2")
    assert json.loads(cli("models", "rollback", "legal", *registry, "--json")[1])["name"] == "legal@1"


def test_an_empty_registry_has_nothing_to_list(cli, tmp_path):
    (tmp_path / "new").mkdir()
    status, out, _ = cli("models", "list", "--registry", tmp_path / "new")
    assert status == 0 and "nothing is registered" in out
    assert json.loads(cli("models", "list", "--registry", tmp_path / "new", "--json")[1]) == []


def test_a_domain_that_is_not_registered_does_not_make_the_registry_empty(cli, own):
    _, out, err = cli("models", "list", "finance", "--registry", own)
    assert "finance" in out + err


def test_a_model_folder_is_added(cli, own, tiny_models):
    status, out, _ = cli("models", "add", tiny_models["medical"], "--force", "--registry", own)
    assert (status, out) == (0, "registered as medical@1\n")
    status, out, _ = cli("models", "add", tiny_models["medical"], "--force", "--registry", own, "--json")
    assert (status, json.loads(out)["name"], json.loads(out)["added"]) == (0, "medical@2", True)


def test_the_same_files_are_not_added_twice_unless_by_force(cli, own, tiny_models):
    status, out, _ = cli("models", "add", tiny_models["legal"], "--registry", own)
    assert status == 0 and out.startswith("legal@2 has exactly these files already")
    status, out, _ = cli("models", "add", tiny_models["legal"], "--registry", own, "--json")
    assert (status, json.loads(out)["name"], json.loads(out)["added"]) == (0, "legal@2", False)
    assert len(json.loads(cli("models", "list", "--registry", own, "--json")[1])) == 2


def test_a_hybrid_is_added_if_dev_proves_it_or_by_force(cli, own, tiny_models, tmp_path):
    model, registry = shutil.copytree(tiny_models["legal"], tmp_path / "model"), ("--registry", own)
    report = json.loads((model / "report.json").read_text(encoding="utf-8"))
    for low, p_value in ((-0.1, 0.3), (0.1, 0.001)):
        found = {"mrr@5": {"difference": 0.2, "low": low, "high": 0.5, "p_value": p_value}}
        (model / "report.json").write_text(json.dumps({**report, "improved": True, "hybrid": found}), encoding="utf-8")
        if low < 0:
            mistake(cli("models", "add", model, "--hybrid", *registry), model, "does not win beyond chance", "--force")
    status, out, _ = cli("models", "add", model, "--hybrid", *registry)
    assert (status, out) == (0, "registered as legal@3\n")
    assert "legal@3 has exactly these files already" in cli("models", "add", model, "--hybrid", *registry)[1]
    status, out, _ = cli("models", "show", "legal@3", *registry)
    assert "hybrid on dev: mrr@5: +0.2000, 95 % interval +0.1000 to +0.5000, p = 0.0010; wins beyond chance" in out
    assert any("ranking" in line and "hybrid" in line for line in out.splitlines())
    assert json.loads(cli("models", "show", "legal@3", *registry, "--json")[1])["ranking"] == "hybrid"
    assert json.loads(cli("models", "show", "legal@2", *registry, "--json")[1])["ranking"] == "model"
    status, out, _ = cli("models", "diff", "legal@2", "legal@3", *registry)
    assert status == 0 and "ranking" in out


def test_verify_ends_with_1_on_damage_and_names_the_file(cli, own, tiny_models):
    registry = ("--registry", own)
    assert cli("models", "add", tiny_models["medical"], "--force", *registry)[0] == 0
    status, out, _ = cli("models", "verify", *registry)
    assert status == 0 and out.count("all files have their recorded digest") == 3
    store = Registry.open(str(own))
    (store.fetch(store.get("legal")) / "config.json").write_text("{}", encoding="utf-8")
    store.close()
    status, out, _ = cli("models", "verify", *registry)
    assert status == 1 and "legal@1: config.json" in out
    status, out, _ = cli("models", "verify", *registry, "--json")
    problems = json.loads(out)
    assert status == 1 and problems["medical@1"] == [] and "config.json" in problems["legal@1"][0]
    assert cli("models", "verify", "medical", *registry)[0] == 0
    assert cli("models", "verify", "legal@1", *registry)[0] == 1
    mistake(cli("route", "hello", "--routes", ROUTES, *registry), "config.json", "damaged")


@pytest.mark.slow
def test_a_model_is_trained_and_registered(cli, prepared, tiny_base, tmp_path):
    status, out, _ = cli(
        *("train", prepared, "--domain", "legal", "--out", tmp_path / "model", "--base-model", tiny_base.path, *FEW),
        *("--register", "--force", "--registry", tmp_path / "registry", "--json"),
    )
    report = json.loads(out)
    assert (status, report["registered"], report["domain"]) == (0, "legal@1", "legal")
    assert json.loads(cli("models", "show", "legal", "--registry", tmp_path / "registry", "--json")[1])["version"] == 1
    again = ("train", prepared, "--domain", "legal", "--out", tmp_path / "model", "--base-model", tiny_base.path)
    mistake(cli(*again), tmp_path / "model", "exists already", "--overwrite")


def test_a_folder_is_trained_on_whatever_its_name(prepared, tmp_path, monkeypatch):
    named = tmp_path / "year=2024"
    shutil.copytree(prepared, named)
    monkeypatch.chdir(named)
    for folder in (".", named, f"all={named}"):
        assert joined_sets("data", [str(folder)]).fingerprint == read_prepared(prepared).fingerprint


@pytest.mark.slow
def test_a_model_that_is_no_better_is_registered_only_by_force(cli, prepared, tiny_base, tmp_path):
    model, registry = tmp_path / "model", ("--registry", tmp_path / "registry")
    status, out, err = cli(
        *("train", prepared, "--domain", "legal", "--out", model, "--base-model", tiny_base.path, *FEW),
        *("--interpolation-weight", 0, "--register", *registry),
    )
    assert status == 2
    assert "No iteration beat the base model" in out
    assert err.splitlines()[-1].startswith("error: ") and "--force" in err and str(model) in err
    assert json.loads(cli("models", "list", *registry, "--json")[1]) == []
    mistake(cli("models", "add", model, *registry), model, "--force")
    assert cli("models", "add", model, "--force", *registry)[0] == 0


def test_a_model_that_loses_too_much_elsewhere_is_registered_only_by_force(cli, tiny_models, tmp_path):
    report = json.loads((tiny_models["legal"] / "report.json").read_text(encoding="utf-8"))
    metrics = report["base_metrics"]["test"]
    sure = {"mrr@5": {"difference": -0.2, "low": -0.3, "high": -0.1, "p_value": 0.01}}
    report["extra_test_sets"]["real-questions"] = {
        **{
            "fingerprint": "f" * 64,
            "queries": 7,
            "base": {**metrics, "mrr@5": 0.6},
            "adapted": {**metrics, "mrr@5": 0.4},
        },
        **{"comparison": sure, "max_loss": 0.05, "lost_too_much": True},
    }
    model, registry = shutil.copytree(tiny_models["legal"], tmp_path / "model"), ("--registry", tmp_path / "registry")
    (model / "report.json").write_text(json.dumps({**report, "improved": True}), encoding="utf-8")
    lost = "On real-questions the model lost 0.2000 mrr@5 to its base, more than the 0.05 that was allowed."
    mistake(cli("models", "add", model, *registry), model, lost, "--force")
    assert cli("models", "add", model, "--force", *registry)[0] == 0
    status, out, _ = cli("models", "show", "legal", *registry)
    assert status == 0 and lost in out
    row = next(line for line in out.splitlines() if "real-questions" in line)
    for cell in ("7", "0.6000", "0.4000", "-0.2000", "-0.3000 to -0.1000", "0.0100", "0.05: BROKEN"):
        assert f" {cell} " in f"{row} "
    shown = json.loads(cli("models", "show", "legal", *registry, "--json")[1])
    assert shown["extra_test_sets"] == {"real-questions": report["extra_test_sets"]["real-questions"]}


@pytest.mark.slow
def test_other_sets_and_seeds_reach_the_report_and_the_printout(cli, prepared, tiny_base, tmp_path, pairs_file):
    status, out, _ = cli("prepare", pairs_file, "--split", "test", "--out", tmp_path / "other", "--json")
    assert (status, json.loads(out)["counts"]["test_queries"]) == (0, 40)
    train = ("train", prepared, "--domain", "legal", "--base-model", tiny_base.path, *FEW)
    judged = ("--also-evaluate", f"all={tmp_path / 'other'}", "--max-loss", "all=1", "--seed", 3, "--seed", 4)
    status, out, err = cli(*train, *judged, "--out", tmp_path / "model")
    assert status == 0, err
    report = json.loads((tmp_path / "model" / "report.json").read_text(encoding="utf-8"))
    assert (report["options"]["seeds"], report["extra_test_sets"]["all"]["max_loss"]) == ([3, 4], 1)
    rows = [re.split("  +", line) for line in out.splitlines() if re.match("(test|all)  ", line)]
    assert [row[0] for row in rows[:4]] == ["test", "all", "test", "all"]
    assert (rows[1][1], rows[1][-1], len(rows[2])) == ("40", "1: kept", 4)


def test_what_can_only_be_measured_is_not_trained_on(cli, pairs_file, tiny_base, tmp_path):
    cli("prepare", pairs_file, "--split", "test", "--out", tmp_path / "other")
    train = ("train", tmp_path / "other", "--domain", "legal", "--base-model", tiny_base.path)
    mistake(cli(*train, "--out", tmp_path / "model"), "no training queries", pairs_file)
    assert not (tmp_path / "model").exists()


TRAINING_MISTAKES = {
    "a set without a folder": (["--also-evaluate", "other"], ["--also-evaluate other: expected NAME=DIR"]),
    "a set without a name": (["--also-evaluate", "=other"], ["--also-evaluate =other: expected NAME=DIR"]),
    "a set twice": (["--also-evaluate", "a=x", "--also-evaluate", "a=y"], ["--also-evaluate a=y: duplicate name a"]),
    "a set that is not prepared": (["--also-evaluate", "a={tmp}/no"], ["{tmp}/no", "manifest.json"]),
    "a bad name of a set": (["--also-evaluate", "A b={data}"], ["'A b'", "lower-case"]),
    "the reserved name": (["--also-evaluate", "test={data}"], ["'test'", "reserved"]),
    "a limit of no set": (["--max-loss", "a=0.1"], ["--max-loss a: unknown test set", "--also-evaluate"]),
    "a limit twice": (
        ["--max-loss", "test=0.1", "--max-loss", "test=0.2"],
        ["--max-loss test=0.1, test=0.2: duplicate"],
    ),
    "a limit that is a word": (["--max-loss", "test=little"], ["--max-loss test=little", "from 0 to 1"]),
    "a limit above one": (["--max-loss", "test=1.5"], ["--max-loss test=1.5", "from 0 to 1"]),
    "a limit below zero": (["--max-loss", "test=-0.1"], ["--max-loss test=-0.1", "from 0 to 1"]),
    "a limit that is no number": (["--max-loss", "test=nan"], ["--max-loss test=nan", "from 0 to 1"]),
    "a seed twice": (["--seed", "1", "--seed", "1"], ["--seed 1, 1: expected at least one seed, and no duplicates"]),
    "a seed below zero": (["--seed", "-1"], ["--seed", "from 0 to"]),
    "a hybrid that is not registered": (["--hybrid"], ["--hybrid says", "--register"]),
    "a reserved domain": (["--domain", "general"], ["general", "reserved"]),
    "a bad name of a domain": (["--domain", "A b"], ["'A b'", "lower-case"]),
}


@pytest.mark.parametrize("case", TRAINING_MISTAKES)
def test_a_mistake_in_what_to_train_is_found_before_any_work(cli, prepared, tiny_base, tmp_path, case):
    arguments, said = (
        [part.replace("{tmp}", str(tmp_path)).replace("{data}", str(prepared)) for part in parts]
        for parts in TRAINING_MISTAKES[case]
    )
    train = ("train", prepared, "--domain", "legal", "--base-model", tiny_base.path, "--out", tmp_path / "model")
    mistake(cli(*train, *arguments), *said)
    assert [path.name for path in tmp_path.iterdir() if "model" in path.name] == []


def test_without_a_command_the_help_is_shown(cli):
    status, out, err = cli()
    assert status == 2 and "Usage: " in out + err and "quickstart" in out + err


MISTAKES = {
    "no such command": (["rout"], ["rout"]),
    "no such option": (["route", "x", "--rutes", "y"], ["--rutes"]),
    "neither query nor batch": (["route", "--routes", ROUTES], ["query", "--batch"]),
    "query and batch": (["route", "x", "--batch", EXAMPLES / "queries.txt", "--routes", ROUTES], ["query", "--batch"]),
    "confidence above one": (["route", "x", "--min-confidence", "1.5"], ["--min-confidence"]),
    "confidence not a number": (["route", "x", "--min-confidence", "nan", "--routes", ROUTES], ["--min-confidence"]),
    "threshold too low": (["route", "x", "--threshold", "-2"], ["--threshold"]),
    "threshold not a number": (["route", "x", "--threshold", "nan"], ["--threshold", "nan: expected a number from -1"]),
    "threshold a word": (["route", "x", "--threshold", "high"], ["--threshold"]),
    "no routes file": (["route", "x", "--routes", "{tmp}/no.yaml"], ["{tmp}/no.yaml", "cannot be read"]),
    "typo in routes": (["route", "x", "--routes", "{tmp}/typo.yaml"], ["{tmp}/typo.yaml, line 4", "'threshold'"]),
    "domain not registered": (["route", "x", "--routes", ROUTES, "--registry", "{tmp}/empty"], ["medical", "general"]),
    "no utterances": (
        ["route", "x", "--routes", "{tmp}/none.yaml"],
        ["line 3", "utterances: is empty: expected at least"],
    ),
    "no batch file": (["route", "--batch", "{tmp}/no.txt", "--routes", "{tmp}/ok.yaml"], ["{tmp}/no.txt"]),
    "batch of bytes": (["route", "--batch", "{tmp}/bytes", "--routes", "{tmp}/ok.yaml"], ["{tmp}/bytes", "UTF-8"]),
    "no base model": (["route", "x", "--base-model", "./no", "--routes", "{tmp}/ok.yaml"], ["./no"]),
    "no device": (
        ["route", "x", "--device", "abacus", "--routes", "{tmp}/ok.yaml"],
        ["--device", "abacus", "expected cpu"],
    ),
    "no backend": (["route", "x", "--backend", "abacus"], ["--backend", "abacus: expected auto, torch, openvino-int8"]),
    "domain of no strategy": (
        ["route", "x", "--single-domain", "legal", "--routes", "{tmp}/ok.yaml"],
        ["--single-domain cannot be used without --strategy single"],
    ),
    "no fitted file": (
        ["route", "x", "--routes", "{tmp}/ok.yaml", "--fitted", "{tmp}/no"],
        ["{tmp}/no: cannot be read"],
    ),
    "fitted file of bytes": (
        ["route", "x", "--routes", "{tmp}/ok.yaml", "--fitted", "{tmp}/bytes"],
        ["bytes: is not UTF-8"],
    ),
    "another fitted file": (
        ["route", "x", "--routes", "{tmp}/ok.yaml", "--fitted", "{tmp}/one.jsonl"],
        ["{tmp}/one.jsonl", "routes fit", "thresholds: Field required"],
    ),
    "fitted over the queries": (
        ["routes", "fit", "{tmp}/one.jsonl", "--routes", "{tmp}/ok.yaml", "--out", "{tmp}/one.jsonl"],
        ["--out {tmp}/one.jsonl", "exists already", "another file"],
    ),
    "fitted in no folder": (
        ["routes", "fit", "{tmp}/no.jsonl", "--out", "{tmp}/no/fitted.json"],
        ["--out {tmp}/no/fitted.json", "cannot be written"],
    ),
    "page over the queries": (
        ["classifier", "evaluate", "{tmp}/one.jsonl", "--html", "{tmp}/one.jsonl"],
        ["--html {tmp}/one.jsonl", "exists already", "another file"],
    ),
    "page in no folder": (
        ["compare", "--data", "legal={tmp}/no", "--html", "{tmp}/no/page.html"],
        ["--html {tmp}/no/page.html", "cannot be written"],
    ),
    "no domains": (
        ["classifier", "evaluate", "{tmp}/one.jsonl", "--registry", "{tmp}/empty"],
        ["nothing is registered", "models add", "--extra-domains"],
    ),
    "name of a configuration left out": (
        ["compare", "--data", "legal={tmp}/no", "--multi", "all", "--configuration", "unadapted"],
        ["--multi cannot be used without --configuration multi"],
    ),
    "thresholds for retrieval": (
        ["compare", "--data", "legal={tmp}/no", "--fit", "{tmp}/one.jsonl"],
        ["--fit cannot be used with --data"],
    ),
    "unknown model": (["models", "show", "stars"], ["stars", "finance, legal, medical"]),
    "unknown version": (["models", "show", "legal@9"], ["legal@9", "legal@1"]),
    "bad reference": (["models", "show", "../legal"], ["../legal", "lower-case"]),
    "version zero": (["models", "verify", "legal@0"], ["legal@0"]),
    "bad domain": (["models", "list", "Legal Texts"], ["Legal Texts", "lower-case"]),
    "no candidate": (["models", "promote", "legal"], ["legal@candidate", "legal@1", "name the version"]),
    "back from a version": (["models", "rollback", "legal@1"], ["legal@1", "give the domain: legal"]),
    "nothing to go back to": (["models", "rollback", "legal"], ["legal"]),
    "no model folder": (["models", "add", "{tmp}/no"], ["{tmp}/no", "report.json"]),
    "no registry": (["models", "list", "--registry", "{tmp}/no"], ["--registry", "{tmp}/no", "models add"]),
    "registry is a file": (["models", "list", "--registry", "{tmp}/ok.yaml"], ["{tmp}/ok.yaml"]),
    "registry below a file": (["models", "list", "--registry", "{tmp}/ok.yaml/below"], ["{tmp}/ok.yaml"]),
    "registry is damaged": (["models", "list", "--registry", "{tmp}/damaged"], ["{tmp}/damaged"]),
    "registry of unknown scheme": (["models", "list", "--registry", "gopher://x"], ["gopher://", "unknown scheme"]),
    "no pairs": (["prepare", "{tmp}/no.jsonl", "--out", "{tmp}/out"], ["{tmp}/no.jsonl"]),
    "pairs exist already": (["prepare", EXAMPLES / "data" / "legal.jsonl", "--out", "{tmp}"], ["{tmp}", "--overwrite"]),
    "held out of test": (
        ["prepare", "{tmp}/no.jsonl", "--out", "{tmp}/out", "--split", "test", "--hold-out", "a=b"],
        ["--hold-out", "--split test"],
    ),
    "too few pairs": (
        ["prepare", "{tmp}/one.jsonl", "--out", "{tmp}/out"],
        ["1 row cannot be split", "at least 3", "--split test"],
    ),
    "out of no name": (["prepare", "{tmp}/one.jsonl", "--out", ""], ["--out", "is empty"]),
    "size of the test split alone": (
        ["prepare", "{tmp}/one.jsonl", "--out", "{tmp}/out", "--split", "test", "--test-size", "0.2"],
        ["--test-size cannot be used with --split test"],
    ),
    "split of a file": (
        ["prepare", "{tmp}/one.jsonl", "--out", "{tmp}/out", "--hub-split", "train"],
        ["--hub-split cannot be used with {tmp}/one.jsonl"],
    ),
    "no such split": (["prepare", "x.jsonl", "--out", "y", "--split", "fair"], ["fair", "grouped"]),
    "test size of all": (["prepare", "x.jsonl", "--out", "y", "--test-size", "1"], ["--test-size"]),
    "no prepared data": (["train", "{tmp}/no", "--domain", "legal", "--out", "{tmp}/m"], ["{tmp}/no", "manifest.json"]),
    "no iterations": (
        ["train", "{tmp}/no", "--domain", "legal", "--out", "{tmp}/m", "--iterations", "0"],
        ["--iterations", "0"],
    ),
    "option of the other recipe": (
        ["train", "{tmp}/no", "--domain", "legal", "--out", "{tmp}/m", "--margin", "0.2"],
        ["--margin", "contrastive"],
    ),
    "no examples": (["quickstart", "--folder", "{tmp}/q", "--examples", "{tmp}/no"], ["{tmp}/no", "--examples"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_ends_with_one_line_and_exit_status_2(cli, served, tmp_path, monkeypatch, case):
    monkeypatch.setenv("DOMAIN_ROUTER_REGISTRY", str(served))
    (tmp_path / "ok.yaml").write_text("routes:\n  - name: a\n    utterances: [x]\n", encoding="utf-8")
    (tmp_path / "typo.yaml").write_text(
        "routes:\n  - name: a\n    utterances: [x]\n    treshold: 0.1\n", encoding="utf-8"
    )
    (tmp_path / "none.yaml").write_text("routes:\n  - name: a\n    utterances: []\n", encoding="utf-8")
    row = {"question": "What is x?", "answer": "It is a.", "text": "x", "route": "a", "domain": None}
    (tmp_path / "one.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\n")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "registry.db").write_text("this is no database " * 200, encoding="utf-8")
    arguments, said = ([str(part).replace("{tmp}", str(tmp_path)) for part in parts] for parts in MISTAKES[case])
    mistake(cli(*arguments), *said)
    assert not (tmp_path / "no").exists()
    assert json.loads((tmp_path / "one.jsonl").read_text(encoding="utf-8")) == row


@pytest.mark.slow
def test_what_other_libraries_log_is_not_printed():
    code = (
        "import sys\nfrom router_plugin.cli import main\nsys.argv = ['domain-router', 'plugins']\n"
        "try:\n    main()\nexcept SystemExit:\n    import datasets\n    from huggingface_hub.utils import logging\n"
        "    logging.get_logger('huggingface_hub.x').warning('Retrying')\n"
        "    datasets.logging.get_logger('datasets.x').warning('Retrying')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120, text=True)
    assert "Retrying" not in done.stderr


def test_help_names_the_splits_that_exist(cli, prepared):
    mistake(cli("compare", "--data", f"legal={prepared}", "--split", "fair"), "expected one of train, dev, test")
    assert "train, dev or test" in " ".join(cli("compare", "--help")[1].split())


def test_prepared_data_with_an_invalid_domain_name_are_a_mistake(cli, tiny_models, tmp_path):
    data = f"A b={tiny_models['legal'].with_name('legal-data')}"
    mistake(cli("compare", "--data", data, "--registry", tmp_path), "'A b'", "lower-case")


def test_example_queries_that_are_not_text_are_refused_before_any_work(cli, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    (tmp_path / "examples" / "queries.txt").write_bytes(b"\xff\n")
    mistake(cli("quickstart", "--folder", tmp_path / "q", "--examples", tmp_path / "examples"), "queries.txt", "UTF-8")
    assert not (tmp_path / "q").exists()


def test_an_unknown_device_for_training_is_a_mistake(cli, prepared, tiny_base, tmp_path):
    arguments = ("train", prepared, "--domain", "legal", "--out", tmp_path / "model", "--base-model", tiny_base.path)
    mistake(cli(*arguments, "--device", "abacus"), "abacus")


@pytest.fixture
def labelled(tmp_path):
    """A file of labelled queries."""
    rows = [("is my contract void", "legal"), ("can they evict me", "legal"), ("what rhymes with orange", None)]
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps({"text": text, "domain": domain}) + "\n" for text, domain in rows))
    return path


def test_a_classifier_is_evaluated_and_drawn(cli, own, labelled, tmp_path):
    arguments = ("classifier", "evaluate", labelled, "--registry", own, "--html", tmp_path / "page.html")
    status, out, err = cli(*arguments, "--json")
    assert (status, err) == (0, "")
    figures = json.loads(out)
    assert figures["queries"] == sum(map(sum, figures["confusion"])) == 3
    assert figures["domains"] == ["general", "legal"]
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert "out_of_domain_auroc" in cli(*arguments)[1]  # and the page replaces the earlier one


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": "a", "domain": "astrology"}', ("line 1", "astrology", "legal")),
        ('{"text": "a"}\n{"domain": "legal"}', ("line 2", "text")),
        ('{"text": "a"', ("line 1", "JSON")),
        ("", ("no query",)),
        ('{"text": "a", "label": "legal"}', ("'domain'", "found text, label")),
    ],
)
def test_a_bad_file_of_labelled_queries_is_a_mistake(cli, own, tmp_path, content, said):
    path = tmp_path / "labelled.jsonl"
    path.write_text(content)
    mistake(cli("classifier", "evaluate", path, "--registry", own), path, *said)


def test_labelled_queries_with_unpaired_surrogates_are_evaluated_and_drawn(cli, own, tmp_path):
    path, page = tmp_path / "labelled.jsonl", tmp_path / "page.html"
    path.write_text('{"text": "is my \\ud800 contract void", "domain": "legal"}\n{"text": "a joke"}\n')
    status, _, err = cli("classifier", "evaluate", path, "--registry", own, "--html", page)
    assert (status, err) == (0, "")


def test_the_current_folder_is_called_by_its_name(tiny_models, monkeypatch):
    from router_plugin.cli.named_values import joined_sets

    folder = tiny_models["legal"].with_name("legal-data")
    monkeypatch.chdir(folder)
    assert joined_sets("data", ["."]).manifest == joined_sets("data", [str(folder)]).manifest


@pytest.mark.slow
def test_routes_are_fitted_evaluated_and_explained(cli, served, tmp_path):
    routes, labelled, fitted = (tmp_path / name for name in ("routes.yaml", "labelled.jsonl", "fitted.json"))
    routes.write_text(
        "routes:\n- {name: tenancy, utterances: [can a landlord keep my deposit]}\n"
        "- {name: drugs, utterances: [aspirin]}\n"
    )
    rows = [("can my landlord keep the deposit", "tenancy"), ("is aspirin safe", "drugs"), ("tell me a joke", None)]
    labelled.write_text("".join(json.dumps({"text": text, "route": route}) + "\n" for text, route in rows))
    common = ("--routes", routes, "--registry", served)
    found = json.loads(cli("routes", "fit", labelled, *common, "--out", fitted, "--json")[1])
    assert set(found["thresholds"]) == {"tenancy", "drugs"} and found["accuracy"] >= found["accuracy_before"]
    evaluated = cli("routes", "evaluate", labelled, *common, "--fitted", fitted, "--json")
    assert json.loads(evaluated[1])["accuracy"] == found["accuracy"]
    page = tmp_path / "routes.html"
    assert "By route" in cli("routes", "evaluate", labelled, *common, "--html", page)[1]
    assert "Routing on" in page.read_text(encoding="utf-8")
    assert cli("routes", "evaluate", labelled, *common, "--html", labelled)[0] == 2
    explained = cli("route", rows[0][0], *common, "--fitted", fitted, "--explain", "--json")
    assert json.loads(explained[1])["decision"]["query"] == rows[0][0]
    assert "Nearest candidates" in cli("route", rows[0][0], *common, "--explain")[1]
    labelled.write_text('{"text": "a", "route": "astrology"}\n')
    status, _, error = cli("routes", "evaluate", labelled, *common)
    assert status == 2 and "unknown route 'astrology': expected tenancy, drugs, or none" in error
    labelled.write_text('{"text": "a", "label": "drugs"}\n')
    mistake(cli("routes", "fit", labelled, *common, "--out", tmp_path / "new.json"), labelled, "'route'", "text, label")
    mistake(cli("route", "a", *common, "--extra-domains", labelled), labelled, "'domain'", "text, label")
