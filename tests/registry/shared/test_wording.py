"""Errors of other libraries in a few words."""

import pydantic
import pytest

from registry.shared.wording import first_fault, first_line


class Model(pydantic.BaseModel):
    numbers: dict[str, int]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n one \n"), "one"),
        (ValueError(" "), "ValueError"),
        (KeyError(), "KeyError"),
    ],
)
def test_the_first_line_is_never_empty(error, line):
    assert first_line(error) == line


@pytest.mark.parametrize(
    ("value", "whole", "fault"),
    [
        ({"numbers": {"a": "x"}}, "", "numbers.a: Input should be a valid integer"),
        ("x", "the file", "the file: Input should be a valid dictionary"),
        ("x", "", "Input should be a valid dictionary"),
    ],
)
def test_a_broken_model_says_which_field_and_why(value, whole, fault):
    with pytest.raises(pydantic.ValidationError) as raised:
        Model.model_validate(value)
    assert first_fault(raised.value, whole).startswith(fault)
