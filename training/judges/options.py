"""Which relevance judge a training run uses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from registry.shared.options import Device, Options, Shown, TrustRemoteCode
from training.errors import TrainingError
from training.llm.options import LanguageModelOptions

GROUND_TRUTH, LLM, CROSS_ENCODER = "ground-truth", "llm", "cross-encoder"


class JudgeOptions(Options):
    """Which relevance judge a training run uses, and how to set it up."""

    error = TrainingError

    judge: Annotated[
        str,
        Field(
            description="Relevance judge: ground-truth uses the labels of the data only; llm and cross-encoder also "
            "grade mined documents."
        ),
        Shown(metavar="JUDGE"),
    ] = GROUND_TRUTH
    judge_model: Annotated[
        str | None,
        Field(description="Model of the judge: its name at the API, or the folder or Hub id of a cross-encoder."),
    ] = None
    device: Device = None
    trust_remote_code: TrustRemoteCode = False
    llm: Annotated[LanguageModelOptions | None, Field(description="How to call a language model.")] = None
