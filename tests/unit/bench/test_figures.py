"""Percentiles, medians and ratios of the bench."""

import pytest

from bench import figures


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 101)]

    assert figures.percentile(values, 50) == 50.0
    assert figures.percentile(values, 99) == 99.0
    assert figures.percentile(reversed_of(values), 100) == 100.0
    assert figures.percentile([7.0], 99) == 7.0


def reversed_of(values: list[float]) -> list[float]:
    return values[::-1]


def test_the_worst_of_a_few_is_their_p99() -> None:
    assert figures.shown([1.0, 2.0, 900.0]) == {"p50": 2.0, "p99": 900.0}


def test_nothing_has_no_percentile() -> None:
    assert figures.shown([]) is None
    with pytest.raises(ValueError, match="nothing"):
        figures.percentile([], 50)


def test_medians_are_taken_column_by_column() -> None:
    rows = [{"api": 1.0, "total": 9.0}, {"api": 3.0, "total": 5.0}, {"api": 2.0, "total": 7.0}]

    assert figures.medians(rows) == {"api": 2.0, "total": 7.0}


@pytest.mark.parametrize(("one", "other"), [(None, 1.0), (1.0, None), (1.0, 0.0)])
def test_a_ratio_to_nothing_is_none(one: float | None, other: float | None) -> None:
    assert figures.ratio(one, other) is None
