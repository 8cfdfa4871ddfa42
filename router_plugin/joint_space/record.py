"""What decides the vectors of a joint space, the identifier made of it, and what tells one joint space from another."""

from __future__ import annotations

import hashlib
import json

import pydantic

from router_plugin.errors import JointSpaceError

FORMAT = 1
"""Another number wherever a new version of this package makes other vectors of the same models."""

_DIGITS = 16


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Block(_Record):
    """One domain's part of a joint space.

    Attributes:
        domain: its name.
        model: what it is embedded with, for people: ``medical@3``, or the base model's name.
        digest: of all that embeds its texts and tells them apart.
        runtime: what the model runs on; the vectors of two runtimes differ a little.
    """

    domain: str
    model: str
    digest: str
    runtime: str


class SpaceRecord(_Record):
    """All that decides the vectors of a joint space; what each of it means, :class:`router_plugin.JointSpace` says.

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
        """Hexadecimal digits that stand for all of it but the names of models."""
        content = self.model_dump(mode="json", exclude={"blocks": {"__all__": {"model"}}})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]

    def check(self, other: SpaceRecord | str) -> None:
        """Make sure that vectors may be compared with those of this joint space.

        Args:
            other: the record of the space that they were made in; or its identifier, which cannot say what differs.

        Raises:
            JointSpaceError: they may not; the text says what differs and what to do.
        """
        identifier = other if isinstance(other, str) else other.identifier
        if identifier == self.identifier:
            return
        facts = ", ".join(f"{name} {value}" for name, value in self._facts().items())
        why = f"this one has {facts}" if isinstance(other, str) else self.differences(other)
        raise JointSpaceError(
            f"vectors of joint space {identifier} do not compare with those of {self.identifier}: {why}: "
            f"embed the texts again in {self.identifier}"
        )

    def differences(self, before: SpaceRecord) -> str:
        """What is other than in another record, in words."""
        was, now = before._facts(), self._facts()
        found = [
            f"{name} was {was.get(name, 'not there')}, is {now.get(name, 'not there')}"
            for name in {**was, **now}
            if was.get(name) != now.get(name)
        ]
        return "; ".join(found) or "the order of the domains differs"

    def _facts(self) -> dict[str, str]:
        """Everything in words, by name."""
        facts = {f"domain {each.domain}": f"{each.model} ({each.digest[:12]}, {each.runtime})" for each in self.blocks}
        facts |= {name: str(value) for name, value in self.model_dump(exclude={"blocks", "plugins"}).items()}
        return facts | dict.fromkeys(self.plugins, "in use")
