"""Strict reading of YAML files that people write: bounded size and depth, every mistake an error with its line."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from registry import DomainRouterError

MAX_FILE_BYTES = 32 << 20
MAX_CAUSE = 100
"""Characters shown of Python's message about a value, which may quote all of it."""


@dataclass(frozen=True)
class YamlFile:
    """The content of a file, with its places.

    Attributes:
        path: of the file.
        content: None if the file is empty.
        node: the parsed content with line numbers.
    """

    path: Path
    content: Any
    node: yaml.Node | None

    def place(self, where: Sequence[str | int]) -> str:
        """File and line of the innermost value on a path of keys and positions."""
        node, line = self.node, self.node.start_mark.line if self.node else 0
        for part in where:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            elif isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == part), None)
                if pair is None:
                    break
                node = pair[1]
                line = pair[0].start_mark.line
                continue
            else:
                break
            line = node.start_mark.line
        return f"{self.path}, line {line + 1}"


def read_yaml(path: Path, kind: type[DomainRouterError]) -> YamlFile:
    """Read a file.

    Args:
        path: of the file.
        kind: class of the error that is raised.

    Raises:
        DomainRouterError: of that class, with file and line: the file cannot be read, or is not plain YAML, or has
            aliases or duplicate keys.
    """
    text = _text(path, kind)
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        return YamlFile(path, loader.construct_document(node) if node else None, node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise kind(f"{path}, line {line}: {error.problem}") from error
    except RecursionError as error:
        raise kind(f"{path}: nested too deeply") from error
    except yaml.YAMLError as error:
        raise kind(f"{path}: invalid YAML: {error}") from error
    except ValueError as error:  # an escape beyond Unicode
        raise kind(f"{path}, line {loader.line + 1}: {error}") from error


def _text(path: Path, kind: type[DomainRouterError]) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise kind(f"{path}: is larger than {MAX_FILE_BYTES >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise kind(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise kind(f"{path}: is not UTF-8 text") from error


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys, which SafeLoader accepts, and without aliases, which can grow without bound."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problem = f"invalid {node.tag.rpartition(':')[2]}: {error!s:.{MAX_CAUSE}}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (pair[0] for pair in node.value if isinstance(node, yaml.MappingNode)):
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"duplicate key {reprlib.repr(key.value)}"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)
