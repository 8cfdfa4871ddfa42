"""The commands for aliases of one's own, retirement, deletion and collection."""

import json

from registry import Registry
from tests.registry.samples import make_record, write_model


def test_the_commands_of_an_end_of_a_version(tmp_path, cli):
    where = ("--registry", str(tmp_path / "registry"))
    registry = Registry.open(where[1])
    for number in "123":
        registry.publish(write_model(tmp_path / number, number), make_record())
    assert cli("models", "alias", "medical@2", "staging", *where)[0] == 0
    assert "staging" in cli("models", "list", *where)[1]
    listed = json.loads(cli("models", "list", "--alias", "staging", *where, "--json")[1])
    assert [version["name"] for version in listed] == ["medical@2"]
    assert cli("models", "alias", "medical@2", "staging", "--remove", *where)[0] == 2
    assert "which was medical@2" in cli("models", "alias", "medical", "staging", "--remove", *where)[1]
    assert "no longer be promoted" in cli("models", "retire", "medical@2", *where)[1]
    assert "retired" in cli("models", "list", *where)[1]
    assert "can be promoted again" in cli("models", "retire", "medical@2", "--undo", *where)[1]
    assert "brings it back until" in cli("models", "delete", "medical@2", *where)[1]
    assert "kept until" in cli("models", "list", "--deleted", *where)[1]
    assert "is back" in cli("models", "restore", "medical@2", *where)[1]
    cli("models", "delete", "medical@2", "--grace-days", 0, *where)
    said = cli("models", "gc", "--dry-run", *where)[1]
    assert "would purge medical@2" in said and "1 unused artifacts" in said
    found = json.loads(cli("models", "gc", *where, "--json")[1])
    assert (found["versions"], len(found["artifacts"]), found["freed"] > 0) == (["medical@2"], 1, True)
    assert "0 unused artifacts, 0 bytes freed" in cli("models", "gc", *where)[1]
