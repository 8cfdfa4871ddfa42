"""Opens the relevance judge of a training run: a built-in one or a plugin's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from router_plugin.plugins.manager import plugins

if TYPE_CHECKING:
    from training import JudgeOptions
    from training.judges.grades import RelevanceJudge


def open_judge(options: JudgeOptions) -> RelevanceJudge | None:
    """The judge that options describe; None for ``ground-truth``, which needs none.

    Raises:
        DomainRouterError: the judge is unknown, or an option is missing or cannot be used with it.
        PluginError: a plugin failed.
    """
    from training.judges.opening import open_judge as open_built_in
    from training.judges.options import GROUND_TRUTH

    if options.judge == GROUND_TRUTH:
        return open_built_in(options)
    return cast("RelevanceJudge", plugins().first_result("relevance_judge", options=options).value)
