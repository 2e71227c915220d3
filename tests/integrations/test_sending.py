"""How a unit is cut, halved and ended; pure, with a vendor of a few lines."""

from hypothesis import given
from hypothesis import strategies as st

from integrations.sending import batch_limit


def test_a_row_travels_in_ever_smaller_company_until_it_is_alone() -> None:
    assert [batch_limit(100, attempts) for attempts in range(6)] == [100, 100, 25, 6, 1, 1]


@given(st.integers(1, 1000), st.integers(0, 50))
def test_the_company_is_never_empty_and_never_beyond_the_batch(batch: int, attempts: int) -> None:
    assert 1 <= batch_limit(batch, attempts) <= batch
