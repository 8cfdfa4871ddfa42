"""Built-in relevance judges are opened by options, whose mistakes name parameters."""

import pytest

from training import JudgeOptions, LanguageModelOptions, RelevanceJudge, TrainingError
from training.errors import LanguageModelError
from training.judges.grades import MeteredJudge
from training.judges.llm_judge import LlmJudge
from training.judges.opening import open_judge

API = LanguageModelOptions(url="http://127.0.0.1:9/v1")


def test_the_labels_alone_need_no_judge():
    assert open_judge(JudgeOptions()) is None


def test_a_language_model_is_opened_as_its_options_say(tmp_path):
    llm = API.replace(cache=tmp_path, price_out=1.0, budget=2.0)
    judge: RelevanceJudge | None = open_judge(JudgeOptions(judge="llm", judge_model="tiny", llm=llm))
    assert isinstance(judge, LlmJudge) and isinstance(judge, MeteredJudge)
    assert "llm tiny at http://127.0.0.1:9/v1" in judge.identity


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"judge": "nobody"}, "`judge` nobody: expected ground-truth, llm, cross-encoder or a judge of a plugin"),
        ({"judge": "llm"}, "`judge` llm needs a model: name it with `judge_model`"),
        ({"judge": "cross-encoder"}, "`judge` cross-encoder needs a model: name it with `judge_model`"),
        ({"judge": "llm", "judge_model": "m"}, "`judge` llm needs the address of an API, .*: give `url`"),
        ({"judge_model": "m"}, "`judge_model` cannot be used with `judge` ground-truth"),
        ({"llm": API}, "`url` cannot be used with `judge` ground-truth"),
    ],
)
def test_what_cannot_be_opened_is_explained(options, fault):
    with pytest.raises(TrainingError, match=f"^{fault}$"):
        open_judge(JudgeOptions(**options))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"concurrency": 0}, "`concurrency` 0: expected a whole number from 1 to 256"),
        ({"price_in": -1}, "`price_in` -1: expected a number of at least 0"),
        ({"retries": 3}, "unknown option `retries`"),
    ],
)
def test_options_of_a_language_model_are_checked(options, fault):
    with pytest.raises(LanguageModelError, match=f"^{fault}"):
        LanguageModelOptions(url=API.url, **options)
