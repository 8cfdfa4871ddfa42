"""Settings of the router."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry import GENERAL
from registry.model_folders.variants import Backend
from registry.shared.options import Device, Options, Shown, TrustRemoteCode
from router_plugin.errors import SettingsError

Strategy = Literal["two_stage", "ensemble", "adaptive", "single"]
"""How several domains are served: by the encoder of the most probable domain, of the most probable few, of one or
several as the classifier is sure or not, or by one for all."""

Aggregation = Literal["max", "mean", "top-k"]
"""A route's score: the cosine of its nearest utterance, the mean over all, or the mean over the nearest few."""

Runtime = Annotated[
    Literal["auto", "torch", Backend],
    Field(description="Runtime of the models; auto is the fastest variant that is stored with a version, else torch."),
]


class Settings(Options):
    """How queries are routed.

    Raises:
        SettingsError: an unknown setting, or a value of another type or out of range.
    """

    error = SettingsError

    strategy: Annotated[
        Strategy,
        Field(
            description="Which encoders see a query: that of its most probable domain (two_stage), those of the most "
            "probable few, less probable ones discounted (ensemble), that of a sure domain, else several and the base "
            "model's with all routes (adaptive), or one for all (single)."
        ),
    ] = "adaptive"
    ensemble_domains: Annotated[int, Field(ge=1, description="Number of domains that the strategy ensemble uses.")] = 2
    single_domain: Annotated[str, Field(description="Domain whose encoder the strategy single uses.")] = GENERAL
    related: Annotated[
        tuple[str, ...],
        Field(
            description="Domains that always compete under the strategy adaptive, like banking+cards, in addition to "
            "those that the classifier mixes up."
        ),
        Shown(default="none", metavar="NAME+NAME"),
    ] = ()
    aggregation: Annotated[
        Aggregation,
        Field(
            description="A route's score: the cosine of its nearest utterance (max), the mean over all (mean), or the "
            "mean over the nearest few (top-k)."
        ),
    ] = "max"
    top_k: Annotated[int, Field(ge=1, description="Number of utterances that the aggregation top-k uses.")] = 3
    min_confidence: Annotated[
        float,
        Field(ge=0, le=1, description="Queries whose best domain has a lower probability are sent to general."),
    ] = 0.5
    target_precision: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Desired precision per domain: of the queries sent to a domain, the fraction that belong to "
            "it. Domains that are often confused then need a higher probability than `min_confidence`.",
        ),
    ] = 0.8
    secondary_threshold: Annotated[
        float,
        Field(ge=0, le=1, description="Probability from which other domains are listed as secondary in a decision."),
    ] = 0.2
    threshold: Annotated[
        float | None,
        Field(ge=-1, le=1, description="Minimum cosine of a route that has no threshold of its own."),
        Shown(default="follows from the number of utterances"),
    ] = None
    max_query_characters: Annotated[int, Field(ge=1, description="Longer queries are truncated first of all.")] = 20_000
    backend: Runtime = "auto"
    memory_budget_mb: Annotated[
        int | None,
        Field(ge=0, description="Memory for encoders, in MB; the least recently used are dropped, and loaded again."),
        Shown(default="no limit"),
    ] = None
    preload: Annotated[int, Field(ge=0, description="Number of the most used domains to load at the start.")] = 0
    query_cache: Annotated[
        int,
        Field(ge=0, description="Embeddings of recent queries to keep, one per query and encoder; 0 for none."),
    ] = 10_000
    index: Annotated[
        str | None,
        Field(
            description="Qdrant or PostgreSQL with pgvector that holds the candidates, by its address; its key is in "
            "the environment."
        ),
        Shown(default="candidates are in memory", metavar="URL"),
    ] = None
    index_nearest: Annotated[
        int, Field(ge=1, le=10_000, description="Candidates that are read from the index for a query.")
    ] = 256
    index_timeout_s: Annotated[int, Field(ge=1, description="Seconds that a read of the index may take.")] = 2
    device: Device = None
    trust_remote_code: TrustRemoteCode = False

    @property
    def compares_all(self) -> str:
        """The domain whose encoder compares a query with the routes of all domains, if the strategy does that."""
        return self.single_domain if self.strategy == "single" else GENERAL


def checked_settings(given: Settings | None) -> Settings:
    """The settings, by default the default ones.

    Raises:
        SettingsError: it is something else.
    """
    if given is not None and not isinstance(given, Settings):
        raise SettingsError(f"`settings`: expected router_plugin.Settings, not {type(given).__name__}")
    return given or Settings()
