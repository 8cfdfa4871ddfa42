"""A policy: the rules that a version is promoted by, and the aliases that are protected; read strictly from YAML."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat, ValidationError, model_validator
from typing_extensions import Self

from registry.errors import DomainRouterError, PolicyError
from registry.names import check_alias, check_name
from registry.paths import PathLike
from registry.records import TEST, Record, check_test_set
from registry.shared.strict_yaml import read_yaml, with_exponents

HeadlineMetric = Literal["mrr@5", "recall@5", "ndcg@10"]
"""The metrics that training compares models by."""


def check_role(name: str) -> str:
    """Return a name that a role or a key may have; raises InvalidNameError otherwise."""
    return check_name(name, "role")


def check_key(name: str) -> str:
    """Return a name that a key may have; raises InvalidNameError otherwise."""
    return check_name(name, "key")


def _check_pem(text: str) -> str:
    if not re.fullmatch(r"-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+\n-----END PUBLIC KEY-----\n?", text):
        raise ValueError("expected a public key in PEM, from -----BEGIN PUBLIC KEY----- on")
    return text


PublicKey = Annotated[str, Field(max_length=2000), AfterValidator(_check_pem)]


def _check_set(name: str) -> str:
    return name if name == TEST else check_test_set(name)


class MetricRule(Record):
    """What a version must keep of the champion's quality on a test set, or gain."""

    test_set: Annotated[str, AfterValidator(_check_set)] = Field(description="``test`` is the domain's own")
    metric: HeadlineMetric = "mrr@5"
    lower_bound: FiniteFloat = Field(
        ge=-1, le=1, description="least lower end of the 95 % interval of version minus champion, paired by query"
    )


class Guard(Record):
    """Who may move an alias: the members of a role of PostgreSQL, or who has a key."""

    role: Annotated[str, AfterValidator(check_role)] | None = None
    key: Annotated[str, AfterValidator(check_key)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.role is None) == (self.key is None):
            raise ValueError("expected either role or key")
        return self


class Policy(Record):
    """What a version must hold to be promoted, and who may move an alias. A rule that is not given does not apply."""

    metrics: tuple[MetricRule, ...] = ()
    guards: bool = Field(False, description="it beat its base on dev, and broke no ``max_loss``, when it was trained")
    max_bytes: int | None = Field(None, gt=0, description="of its files")
    max_dimension: int | None = Field(None, gt=0, description="of its vectors")
    max_length: int | None = Field(None, gt=0, description="tokens that it reads of a text")
    base_models: tuple[str, ...] | None = Field(None, min_length=1, description="one of these")
    require_signature: dict[Annotated[str, AfterValidator(check_key)], PublicKey] = Field(
        default_factory=dict, description="one of these public keys signed it, each in PEM under a name"
    )
    same_space: bool = Field(False, description="base model, dimension and pooling as the champion's, or announced")
    protected: dict[Annotated[str, AfterValidator(check_alias)], Guard] = Field(default_factory=dict)


def read_policy(path: PathLike) -> Policy:
    """Read a file of YAML or JSON.

    Raises:
        PolicyError: with file and line: it cannot be read, or a rule is unknown or has a wrong value.
    """
    file = read_yaml(path, PolicyError)
    if not isinstance(file.content, dict):
        raise PolicyError(f"{file.place(())}: expected rules, like 'guards: true'")
    try:
        return Policy.model_validate_json(json.dumps(with_exponents(file.content), default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = tuple(part for part in first["loc"] if part != "[key]")
        named = ".".join(map(str, where))
        if first["type"] == "extra_forbidden":
            known = Policy if len(where) == 1 else MetricRule if where[0] == "metrics" else Guard
            said = f"unknown rule: expected one of {', '.join(known.model_fields)}"
        else:
            said = first["msg"].removeprefix("Value error, ")
        raise PolicyError(f"{file.place(where)}: {named or 'policy'}: {said}") from error
    except ValueError as error:  # no JSON, such as a very large number
        raise PolicyError(f"{Path(path)}: {error}") from error


def policy_text(policy: Policy) -> str:
    """The policy in YAML, without what does not apply; :func:`read_policy` reads it back."""
    import yaml

    content = policy.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    for rule, written in zip(policy.metrics, content.get("metrics", ()), strict=True):
        written["metric"] = rule.metric
    return yaml.safe_dump(content, sort_keys=False) if content else "{}\n"


def parsed(content: object, where: str) -> Policy:
    """A policy as the registry keeps it.

    Raises:
        PolicyError: a newer version wrote it: no rule may be left out, so nothing is promoted.
    """
    try:
        return Policy.model_validate_json(json.dumps(content))
    except (ValidationError, DomainRouterError) as error:
        raise PolicyError(
            f"the policy {where} cannot be read: another version of domain-router wrote it: upgrade, or set it again"
        ) from error
