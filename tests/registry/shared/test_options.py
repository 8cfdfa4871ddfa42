"""Options: what a model of options refuses, and in which words."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from registry import DomainRouterError
from registry.shared.options import Options, expected


class FanError(DomainRouterError):
    """A fan cannot be built so."""


class Fan(Options):
    error = FanError

    blades: Annotated[int, Field(ge=2)] = 3
    speed: Annotated[float, Field(gt=0, lt=10)] = 1.0
    tilt: Annotated[float | None, Field(ge=-1, le=1)] = None
    mode: Literal["in", "out", "off"] = "in"
    stops: tuple[Annotated[int, Field(ge=1)], ...] = ()
    noise: Annotated[float, Field(le=5)] = Field(default_factory=lambda values: 2.0 * values["blades"])
    name: str


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"blades": 1}, "`blades` 1: expected a whole number of at least 2"),
        ({"blades": 2.5}, "`blades` 2.5: expected a whole number of at least 2"),
        ({"blades": "many"}, "`blades` 'many': expected a whole number of at least 2"),
        ({"speed": 10}, "`speed` 10: expected a number greater than 0 and less than 10"),
        ({"speed": float("nan")}, "`speed` nan: expected a number greater than 0 and less than 10"),
        ({"tilt": 2}, "`tilt` 2: expected a number from -1 to 1"),
        ({"mode": "up"}, "`mode` 'up': expected in, out or off"),
        ({"stops": [3, 0]}, "`stops` 0: expected a list of values, each a whole number of at least 1"),
        ({"noise": 6}, "`noise` 6: expected a number of at most 5"),
        ({"name": 3}, "`name` 3: expected text"),
        ({"colour": "red"}, "unknown option `colour`: expected blades, speed, tilt, mode, stops, noise or name"),
    ],
)
def test_a_fault_is_one_sentence_with_name_value_and_range(values, message):
    with pytest.raises(FanError) as error:
        Fan(**{"name": "north", **values})
    assert str(error.value) == message


def test_a_missing_value_is_named():
    with pytest.raises(FanError, match="^`name` is missing$"):
        Fan()


def test_a_copy_is_checked_and_derives_its_defaults_again():
    fan = Fan(name="north")
    assert fan.replace(blades=2).noise == 4.0
    assert fan.replace(blades=2, noise=1).replace(blades=2).noise == 1
    with pytest.raises(FanError, match="`blades` 0"):
        fan.replace(blades=0)


def test_values_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        Fan(name="north").blades = 4


def test_yes_and_no_and_unknown_types_are_described():
    assert expected(bool) == "true or false"
    assert expected(bytes | None) == "a value of type bytes"
