"""Options for improving routes by a log."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from registry.shared.options import Options
from router_plugin.errors import ImprovementError


class ImproveOptions(Options):
    """What may be proposed, and how much of a log is used.

    Raises:
        ImprovementError: an unknown option, or a value of another type or out of range.
    """

    error = ImprovementError

    per_route: Annotated[
        int, Field(ge=0, description="Number of utterances that are proposed for a route at most.")
    ] = 5
    folds: Annotated[int, Field(ge=2, le=20, description="Number of parts of the cross-validation.")] = 5
    max_queries: Annotated[
        int,
        Field(ge=20, description="Number of queries with feedback that are used at most; of more, a sample is drawn."),
    ] = 5000
    min_cluster: Annotated[
        int, Field(ge=2, description="Number of queries from which a cluster becomes a new domain.")
    ] = 10
    seed: Annotated[int, Field(ge=0, le=2**32 - 2, description="Seed of everything random.")] = 42
