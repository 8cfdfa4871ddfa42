"""Strict reading of YAML and JSON files that people write: bounded size and depth, every mistake with its line.

YAML reads some unquoted texts otherwise than people do: ``yes`` as true, ``12:30`` as 750, and nothing behind `` #``.
What stands where text is expected is therefore named as it is written; see :meth:`YamlFile.misread`.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from registry import DomainRouterError
from registry.paths import PathLike, local_path

MAX_FILE_BYTES = 32 << 20
MAX_CAUSE = 100
"""Characters shown of Python's message about a value, which may quote all of it."""
MAX_SHOWN = 40
"""Characters shown of a value as it is written."""

_COMMENT = re.compile(r"[ \t]+(#[^\r\n\x85\u2028\u2029]*)")
_OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
"""Integers in octal, and numbers in base 60: 010 is 8, and 12:30 is 750."""
_TEXT = "tag:yaml.org,2002:str"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MAX_NUMBER = 10**MAX_SHOWN
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""Numbers like 5e-5, which YAML 1.1 takes for text, because they have no point or the exponent has no sign."""
_HALF = re.compile("[\ud800-\udfff]")
_HINTS = {
    "mapping values are not allowed here": "put a text with ': ' in quotes",
    r"character '\t'": "write blanks in place of tabs",
    "that cannot start any token": "put a text that begins with it in quotes",
    "aliases are not allowed": "put a text that begins with '*' in quotes",
    "could not determine a constructor for the tag": "put a text that begins with '!' or is '=' or '<<' in quotes",
    "expected chomping or indentation indicators": "put a text that begins with '|' or '>' in quotes",
    "expected a comment or a line break": "put a text that begins with '|' or '>' in quotes",
    "expected <block end>, but found '<scalar>'": "put the whole text in quotes",
    "expected ',' or ']'": "put a text with ' #' or ': ' in quotes",
    "expected ',' or '}'": "put a text with ' #' or ': ' in quotes",
}
"""What to do, by a part of PyYAML's message."""


@dataclass(frozen=True)
class YamlFile:
    """The content of a file, with its places.

    Attributes:
        path: of the file.
        content: None if the file is empty.
        text: of the file.
        syntax: ``YAML`` or ``JSON``.
        parsed: the content with line numbers, made when it is needed; None where there is none.
    """

    path: Path
    content: Any
    text: str
    syntax: str
    parsed: Callable[[], yaml.Node | None]

    def place(self, where: Sequence[str | int]) -> str:
        """File and line of the innermost value on a path of keys and positions."""
        node = self.parsed()
        line = node.start_mark.line if node else 0
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

    def misread(self, where: Sequence[str | int]) -> str | None:
        """What is read of a value where text is expected, and what to do; None for text, and where there is no value.

        Args:
            where: path of keys and positions.
        """
        node = self._at(where)
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _TEXT):
            return None
        written = self.text[node.start_mark.index : node.end_mark.index].strip()
        if not written:
            behind = _COMMENT.match(self.text, node.end_mark.index)
            why = f", as {_shown(behind[1])} is a comment" if behind else ""
            return f"{self.syntax} reads null{why}: write a text, in quotes"
        why = ", because of the ':'" if isinstance(node, yaml.MappingNode) and ":" in written else ""
        return f"{self.syntax} reads {_shown(written)} as {_in_words(node)}{why}: put it in quotes"

    def refuse_comments(self, where: Sequence[str | int], kind: type[DomainRouterError]) -> None:
        """Make sure that no comment stands behind an unquoted text of a list, of which it may be a part.

        Args:
            where: path of keys and positions to the list.
            kind: class of the error that is raised.

        Raises:
            DomainRouterError: of that class.
        """
        node = self._at(where)
        for number, each in enumerate(node.value if isinstance(node, yaml.SequenceNode) else ()):
            if comment := _comment_behind(each, self.text):
                raise kind(
                    f"{self.place((*where, number))}: {_cut_off(each, comment)}, or the comment on a line of its own"
                )

    def _at(self, where: Sequence[str | int]) -> yaml.Node | None:
        node = self.parsed()
        for part in where:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            elif isinstance(node, yaml.MappingNode):
                node = next((value for key, value in node.value if key.value == part), None)
            else:
                return None
        return node


def read_yaml(path: PathLike, kind: type[DomainRouterError]) -> YamlFile:
    """Read a file; see :func:`parse_yaml`.

    Raises:
        DomainRouterError: of that class, with file and line: the file cannot be read, or see there.
    """
    path = local_path(path, kind)
    return parse_yaml(path, _text(path, kind), kind)


def parse_yaml(path: Path, text: str, kind: type[DomainRouterError]) -> YamlFile:
    """Read the text of a file.

    Args:
        path: of the file, for error messages.
        text: of the file, in YAML or JSON.
        kind: class of the error that is raised.

    Raises:
        DomainRouterError: of that class, with file and line: the text is not plain YAML, or has aliases or duplicate
            keys; or an unquoted text ends before a ``#`` that seems to belong to it, or a number is written so that
            YAML reads another one.
    """
    if (content := _json(text)) is not None:
        return YamlFile(path, content, text, "JSON", partial(_compose_json, text))
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        _check_scalars(node, text)
        return YamlFile(path, loader.construct_document(node) if node else None, text, "YAML", lambda: node)
    except yaml.reader.ReaderError as error:  # of a character
        code = error.character if isinstance(error.character, int) else ord(error.character)
        line = text.count("\n", 0, error.position) + 1
        raise kind(
            f"{path}, line {line}: the character U+{code:04X} is not allowed: remove it, or write it as \\u{code:04x} "
            "in a text in double quotes"
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise kind(f"{path}, line {line}: {error.problem}{_hint(error)}") from error
    except RecursionError as error:
        raise kind(f"{path}: nested too deeply") from error
    except yaml.YAMLError as error:
        raise kind(f"{path}: invalid YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:  # an escape beyond Unicode
        raise kind(f"{path}, line {loader.line + 1}: {error}") from error


def with_exponents(value: Any) -> Any:
    """A value of a file with numbers in place of texts like 5e-5."""
    if isinstance(value, dict):
        return {name: with_exponents(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_exponents(each) for each in value]
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def _json(text: str) -> Any:
    """The content of a text that is plain JSON; None for any other, which the reader of YAML explains."""
    if text.lstrip("\ufeff \t\r\n")[:1] not in ("{", "["):
        return None
    try:
        content = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_distinct)
        json.dumps(content, ensure_ascii=False).encode()  # which half of a surrogate pair cannot be
    except (ValueError, RecursionError):
        return None
    return content


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("duplicate key")
    return found


def _compose_json(text: str) -> yaml.Node | None:
    """JSON with line numbers; None where it goes beyond what YAML reads."""
    try:
        return _StrictLoader(text.replace("\t", " ")).get_single_node()  # tabs between values are no YAML
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _check_scalars(node: yaml.Node | None, text: str) -> None:
    """Make sure that no unquoted text goes on with a ``#``, as in ``order #123``, and no number has another base.

    A comment on purpose has a blank behind its ``#``.
    """
    waiting = [] if node is None else [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, yaml.MappingNode):
            waiting += reversed([part for pair in each.value for part in pair])
        elif isinstance(each, yaml.SequenceNode):
            waiting += reversed(each.value)
        elif (comment := _comment_behind(each, text)) and len(comment) > 1 and not comment[1].isspace():
            raise yaml.MarkedYAMLError(problem=_cut_off(each, comment), problem_mark=each.end_mark)
        elif isinstance(each, yaml.ScalarNode) and each.tag in _NUMBERS and _OTHER_BASE.fullmatch(each.value):
            problem = (
                f"YAML reads {_shown(each.value)} as {_in_words(each)}: write the number so, or the text in quotes"
            )
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=each.start_mark)


def _cut_off(node: yaml.Node, comment: str) -> str:
    return f"YAML reads {_shown(node.value)} and takes {_shown(comment)} for a comment: put the whole text in quotes"


def _comment_behind(node: yaml.Node, text: str) -> str | None:
    if not isinstance(node, yaml.ScalarNode) or node.style is not None or node.tag != _TEXT:
        return None
    found = _COMMENT.match(text, node.end_mark.index)
    return found[1] if found else None


def _in_words(node: yaml.Node) -> str:
    """The value of a node that is no text."""
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    value = _StrictLoader("").construct_object(node)
    if value is None:
        return "null, which is no text"
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, date):
        return f"the date {value}"
    return f"the number {value}" if isinstance(value, float) or abs(value) < _MAX_NUMBER else "a very large number"


def _shown(written: str) -> str:
    line = written.split("\n")[0]
    return repr(line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}...")


def _hint(error: yaml.MarkedYAMLError) -> str:
    said = f"{error.problem} {error.context}"
    return next((f": {hint}" for part, hint in _HINTS.items() if part in said), "")


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

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if anchor is not None:
            problem = f"YAML takes '&{anchor}' for a name and not for text: put a text that begins with '&' in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if not isinstance(value, str) or not _HALF.search(value):
            return value
        try:  # the two halves of a character, as JSON escapes them
            return value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise yaml.MarkedYAMLError(problem="half of a surrogate pair", problem_mark=node.start_mark) from error

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
