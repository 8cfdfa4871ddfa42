"""The relevance judge that options describe."""

from __future__ import annotations

from training.errors import TrainingError
from training.judges.grades import RelevanceJudge
from training.judges.options import CROSS_ENCODER, GROUND_TRUTH, LLM, JudgeOptions
from training.llm.options import open_model


def open_judge(options: JudgeOptions) -> RelevanceJudge | None:
    """A built-in judge; None for ``ground-truth``, which needs none.

    Raises:
        TrainingError: the judge is unknown, or an option is missing or cannot be used with it.
        LanguageModelError: see :func:`training.llm.options.open_model`.
    """
    if options.judge == GROUND_TRUTH:
        _refuse_models(options)
        return None
    if options.judge not in (LLM, CROSS_ENCODER):
        raise TrainingError(
            f"`judge` {options.judge}: expected {GROUND_TRUTH}, {LLM}, {CROSS_ENCODER} or a judge of a plugin"
        )
    if not options.judge_model:
        raise TrainingError(f"`judge` {options.judge} needs a model: name it with `judge_model`")
    if options.judge == CROSS_ENCODER:
        from training.judges.cross_encoder_judge import CrossEncoderJudge

        return CrossEncoderJudge(options.judge_model, options.device, options.trust_remote_code)
    if not options.llm:
        raise TrainingError(f"`judge` {LLM} needs the address of an API, like https://host/v1: give `url`")
    from training.judges.llm_judge import LlmJudge

    return LlmJudge(open_model(options.judge_model, options.llm))


def _refuse_models(options: JudgeOptions) -> None:
    given = "judge_model" if options.judge_model else "url" if options.llm else ""
    if given:
        raise TrainingError(f"`{given}` cannot be used with `judge` {GROUND_TRUTH}")
