"""Completion as shells use it: each with its own script, zsh and fish also with their variables alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests import warm
from tests.conftest import ROOT


@pytest.fixture
def environment(served, tmp_path):
    """Variables of a shell that finds the command, with a registry of three domains."""
    path = f"{warm.command('domain-router').parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "DOMAIN_ROUTER_REGISTRY": str(served), "HOME": str(tmp_path)}


@pytest.fixture
def bash(environment):
    """A function that answers with what bash would offer for words, the last of which is being typed."""

    def complete(*words, **variables):
        script = (
            'eval "$(domain-router --show-completion bash)"\n'
            'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n_domain_router_completion domain-router\n'
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        command = ["bash", "--norc", "-c", script, "bash", "domain-router", *words]
        environment.update(variables, SHELL=shutil.which("bash") or "")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
        return done.stdout.split()

    return complete


@pytest.fixture(autouse=True)
def named_shells(monkeypatch):
    """The option takes the name of a shell, as it does where the parent process is none."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")


def test_bash_completes_commands_options_and_what_is_registered(bash):
    assert bash("mod") == ["models"]
    assert {"--json", "--registry"} <= set(bash("models", "show", "--"))
    assert bash("models", "show", "me") == ["medical", "medical@1", "medical@champion"]
    assert bash("models", "history", "") == ["finance", "legal", "medical"]
    assert bash("models", "diff", "legal@1", "legal@c") == ["legal@champion"]


def test_bash_takes_an_at_sign_for_a_word(bash):
    assert bash("models", "show", "legal", "@") == ["1", "champion"]
    assert bash("models", "show", "legal", "@", "ch") == ["champion"]
    assert bash("models", "show", "unknown", "@", "ch") == []
    assert bash("@") == bash("@", "x") == []


def test_the_registry_of_the_option_is_read(bash, served):
    elsewhere = {"DOMAIN_ROUTER_REGISTRY": "/nowhere/registry"}
    assert bash("models", "show", "--registry", str(served), "fin", **elsewhere)[0] == "finance"


@pytest.mark.parametrize(
    "url", ["/nowhere", "postgresql://x@localhost/y?artifacts=/z", "what://", "~nobody/x", "{tmp}"]
)
def test_what_cannot_be_read_is_silent(bash, tmp_path, url):
    (tmp_path / "registry.db").write_bytes(b"no database" * 100)
    assert bash("models", "show", "", DOMAIN_ROUTER_REGISTRY=url.format(tmp=tmp_path)) == []


def test_zsh_and_fish_are_answered(environment):
    for shell, wanted in (("zsh", '"legal@champion"'), ("fish", "legal@champion")):
        asked = {
            "_DOMAIN_ROUTER_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": "domain-router models show leg",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        done = subprocess.run(
            ["domain-router"], env=environment | asked, capture_output=True, text=True, check=True, timeout=60
        )
        assert wanted in done.stdout and done.stderr == ""
        script = ["domain-router", "--show-completion", shell]
        shown = subprocess.run(script, env=environment, capture_output=True, text=True, check=True, timeout=60)
        assert f"complete_{shell}" in shown.stdout


IN_FISH = 'domain-router --show-completion fish | source; complete -C "domain-router models show legal@c"'
IN_ZSH = r"""
zmodload zsh/zpty
zpty -b shell 'TERM=dumb zsh -f -i'
wait_for() {
  local seen= part; integer tries=0
  while [[ $seen != *$~1* ]] && (( tries++ < 500 )); do
    if zpty -r -t shell part; then seen+=$part; else sleep 0.1; fi
  done
  print -r -- "$seen"
}
zpty -w shell 'autoload -Uz compinit; compinit -D -u; eval "$(domain-router --show-completion zsh)"; print RE""ADY'
wait_for READY
zpty -w -n shell $'domain-router models show legal@c\t'
wait_for 'legal@champion'
zpty -d shell
"""
"""Types into an interactive zsh on a terminal of its own, as its completion works in no other."""


@pytest.mark.slow
@pytest.mark.parametrize(("shell", "option", "script"), [("fish", "--no-config", IN_FISH), ("zsh", "-f", IN_ZSH)])
def test_a_real_shell_completes_what_is_registered(environment, shell, option, script):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    command = [shell, option, "-c", script]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=150
    )
    assert "legal@champion" in done.stdout and "legal@1" not in done.stdout


@pytest.mark.slow
def test_a_completion_loads_no_models(environment):
    code = (
        "import sys\nfrom router_plugin.cli import main\nsys.argv = ['domain-router']\n"
        "try:\n    main()\nexcept SystemExit:\n    heavy = {'torch', 'transformers', 'sklearn', 'scipy', 'datasets'}\n"
        "    sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    asked = {
        "_DOMAIN_ROUTER_COMPLETE": "complete_bash",
        "COMP_WORDS": "domain-router\nmodels\nshow\nl",
        "COMP_CWORD": "3",
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment | asked, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout.split()[0]) == (0, "legal"), done.stderr
