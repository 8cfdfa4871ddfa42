"""The relevance judge that ``train --judge`` names: a built-in one or a plugin's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from registry import DomainRouterError

if TYPE_CHECKING:
    from router_plugin.contracts import JudgeOptions
    from training.judges.relevance import RelevanceJudge

GROUND_TRUTH, LLM, CROSS_ENCODER = "ground-truth", "llm", "cross-encoder"


def open_judge(options: JudgeOptions) -> RelevanceJudge | None:
    """The judge of that name; None where the prepared labels are all that counts.

    Raises:
        DomainRouterError: there is none of that name, or it lacks an option or a package.
        PluginError: a plugin failed.
    """
    from router_plugin.plugins.manager import plugins

    if options.name == GROUND_TRUTH:
        _check_unused(options)
        return None
    return cast("RelevanceJudge", plugins().first_result("relevance_judge", options=options).value)


def _check_unused(options: JudgeOptions) -> None:
    given = "--judge-model" if options.model else "--llm" if options.llm.get("url") else ""
    if given:
        raise DomainRouterError(f"{given} has no meaning for --judge {GROUND_TRUTH}: leave it out, or name a judge")


def built_in_judge(options: JudgeOptions) -> RelevanceJudge:
    """The language model or the cross-encoder.

    Raises:
        TrainingError: the name is neither's, or an option is missing.
    """
    from training.errors import TrainingError

    if options.name not in (LLM, CROSS_ENCODER):
        raise TrainingError(
            f"--judge {options.name}: no such judge: choose {GROUND_TRUTH}, {LLM} or {CROSS_ENCODER}, or install the "
            "plugin that has it"
        )
    if not options.model:
        raise TrainingError(f"--judge {options.name} needs a model: name it by --judge-model")
    if options.name == CROSS_ENCODER:
        from training.judges.cross_encoder_judge import CrossEncoderJudge

        return CrossEncoderJudge(options.model, options.device, options.trust_remote_code)
    if not options.llm.get("url"):
        raise TrainingError(f"--judge {LLM} needs the address of an API: give --llm https://host/v1")
    from router_plugin.cli.llm import open_model
    from training.judges.llm_judge import LlmJudge

    return LlmJudge(open_model(options.model, **options.llm))
