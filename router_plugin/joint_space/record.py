"""All that determines the vectors of a joint space, its identifier, and the differences between two joint spaces."""

from __future__ import annotations

import hashlib
import json

import pydantic

from router_plugin.errors import JointSpaceError

FORMAT = 2
"""Changes when a new version of this package makes different vectors with the same models."""

_DIGITS = 16


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Block(_Record):
    """The part of one domain in a joint space.

    Attributes:
        domain: its name.
        model: its model, for people: ``medical@3``, or the base model's name.
        digest: of the model or, for a domain without one, of its examples.
        runtime: that the model runs on. The vectors of two runtimes differ slightly.
    """

    domain: str
    model: str
    digest: str
    runtime: str


class SpaceRecord(_Record):
    """All that determines the vectors of a joint space; see :class:`router_plugin.JointSpace`.

    Attributes:
        blocks: of the domains, in order.
        plugins: other packages' plugins that choose the domain classifier or an encoder.
    """

    format: int = FORMAT
    blocks: tuple[Block, ...]
    block_size: int
    top: int
    min_confidence: float
    target_precision: float
    max_query_characters: int
    plugins: tuple[str, ...] = ()

    @property
    def identifier(self) -> str:
        """Hexadecimal digits of a digest of everything except the names of models."""
        content = self.model_dump(mode="json", exclude={"blocks": {"__all__": {"model"}}})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]

    def check(self, other: SpaceRecord | str) -> None:
        """Make sure that vectors may be compared with those of this joint space.

        Args:
            other: the record of the space in which they were made, or its identifier, which does not say what differs.

        Raises:
            JointSpaceError: they may not; the text says what differs and what to do.
        """
        identifier = other if isinstance(other, str) else other.identifier
        if identifier == self.identifier:
            return
        facts = ", ".join(f"{name} {value}" for name, value in self._facts().items())
        why = f"this one has {facts}" if isinstance(other, str) else self.differences(other)
        raise JointSpaceError(
            f"vectors of joint space {identifier} cannot be compared with those of {self.identifier}: {why}: "
            f"embed the texts again in {self.identifier}"
        )

    def differences(self, before: SpaceRecord) -> str:
        """What differs from an earlier record, in words."""
        was, now = before._facts(), self._facts()
        found = [
            f"{name} was {was.get(name, 'missing')}, is {now.get(name, 'missing')}"
            for name in {**was, **now}
            if was.get(name) != now.get(name)
        ]
        return "; ".join(found) or "the order of the domains differs"

    def _facts(self) -> dict[str, str]:
        """Everything in words, by name."""
        facts = {f"domain {each.domain}": f"{each.model} ({each.digest[:12]}, {each.runtime})" for each in self.blocks}
        facts |= {name: str(value) for name, value in self.model_dump(exclude={"blocks", "plugins"}).items()}
        return facts | dict.fromkeys(self.plugins, "in use")
