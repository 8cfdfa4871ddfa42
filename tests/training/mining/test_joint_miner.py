"""Every set has its fraction of the batches at any time."""

from hypothesis import given
from hypothesis import strategies as st

from training.mining.joint_miner import take_turns


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 200))
def test_no_set_is_ever_a_turn_away_from_its_fraction(weights, count):
    shares = [weight / sum(weights) for weight in weights]
    order = take_turns(shares, count)
    assert len(order) == count
    for number in range(count + 1):
        for who, share in enumerate(shares):
            assert abs(order[:number].count(who) - share * number) < 1 + 1e-6
