"""Comparisons of two methods: the interval against hand-worked numbers, and how often the verdict is wrong."""

import math

import numpy as np
import pytest
from scipy import stats

from helpers import WorkbookError, evaluate

DRAWS = 400
CHANCE = 2 * math.sqrt(0.05 * 0.95 / DRAWS)


def drawn(runs, images, *, by_run, by_image, by_both, lead=0.0, seed=0):
    """Hits of two methods, (2, DRAWS, runs, images): images are easy or hard for both, and the rest is noise."""
    rng = np.random.default_rng(seed)

    def noise(scale, *shape):
        return scale * rng.standard_normal((2, DRAWS, *shape))

    easy = 1 + 1.5 * rng.standard_normal((1, DRAWS, 1, images))
    ease = easy + noise(by_run, runs, 1) + noise(by_image, 1, images) + noise(by_both, runs, images)
    ease[0] += lead
    return (ease > 0).astype(float)


def verdicts(hits, **options):
    return np.array([evaluate.compare(a, b, **options).verdict for a, b in zip(*hits, strict=True)])


NOISES = ((0.1, 0.4, 0.4), (0.3, 0.4, 0.5), (0.5, 0.4, 0.3), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5))
"""By run, by image, by both."""


@pytest.mark.parametrize(("runs", "images"), [(1, 100), (2, 30), (2, 100), (3, 500), (5, 100)])
def test_without_a_true_difference_less_than_one_verdict_in_twenty_is_wrong(runs, images):
    """One run can't show what runs differ by: its two trainings are compared, not their methods, and it is 5 %."""
    shares = []
    for by_run, by_image, by_both in NOISES:
        hits = drawn(runs, images, by_run=by_run * (runs > 1), by_image=by_image, by_both=by_both)
        shares.append((verdicts(hits) != "too close to tell").mean())
    assert np.mean(shares) < 0.05 and max(shares) < 0.05 + CHANCE


def test_a_large_true_difference_is_found():
    for runs, lead in ((1, 1.0), (3, 1.0), (5, 1.0), (2, 4.0)):
        noise = {"by_run": 0.1 * (runs > 1), "by_image": 0.2, "by_both": 0.2}
        assert (verdicts(drawn(runs, 200, lead=lead, **noise)) == "ahead").mean() > 0.7
    assert (verdicts(drawn(5, 200, lead=-1.0, **noise)) == "behind").mean() > 0.9


def test_of_many_comparisons_none_is_wrong_in_nineteen_cases_of_twenty():
    noise = {"by_run": 0.3, "by_image": 0.3, "by_both": 0.3}
    found = [verdicts(drawn(3, 100, **noise, seed=seed), comparisons=5) for seed in range(5)]
    assert (np.array(found) != "too close to tell").any(axis=0).mean() < 0.05


def test_one_run_is_the_paired_t_test_over_images_and_single_numbers_that_over_runs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7)), rng.normal(size=(2, 7))
    for shape, sampled in (((1, 14), "images"), ((14, 1), "runs")):
        found = evaluate.compare(a.reshape(shape), b.reshape(shape))
        interval = stats.ttest_rel(a.ravel(), b.ravel()).confidence_interval()
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high)) and found.sampled == sampled


def test_the_interval_of_runs_and_images_is_as_worked_by_hand():
    a, b = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]), np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    # Differences 1 0 1 and 1 0 0: means of runs 2/3 and 1/3, of images 1, 0 and 1/2; errors 1/6 and 1/2 / sqrt(3).
    half = math.hypot(12.7062 / 6, 4.30265 * 0.5 / math.sqrt(3))
    found = evaluate.compare(a, b)
    assert (found.difference, found.low, found.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-4)
    assert found.verdict == "too close to tell" and found.sampled == "runs and images"
    assert found.points == "+50.0 points (95 % interval over runs and images: −195.5 to +295.5)"
    assert -found == evaluate.compare(b, a) and (-found).over(200).verdict == "behind"
    assert found.over(0.25).points.startswith("+25.0 points (95 % interval over runs and images: −220.5")
    of_four = (-evaluate.compare(b, a, comparisons=4)).over(0.25).points
    assert of_four.startswith("+25.0 points (95 % interval over runs and images, for 4 comparisons at once: −")
    # Runs that don't pair: their means.
    assert evaluate.compare(a, b[:1]) == evaluate.compare([[1, 0.5, 1]], b[:1])


def test_on_different_images_the_interval_has_the_variances_of_both():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, (1, 60)), rng.normal(0, 3, (1, 50))
    found = evaluate.compare(a, b, paired=False)
    of_each = [stats.ttest_1samp(each[0], 0).confidence_interval() for each in (a, b)]
    half = math.hypot(*((interval.high - interval.low) / 2 for interval in of_each))
    assert (found.low, found.high) == pytest.approx((a.mean() - b.mean() - half, a.mean() - b.mean() + half))
    # Runs that are all good or all bad on both sets say nothing against the difference.
    common = rng.normal(0, 5, (6, 1))
    assert evaluate.compare(a + common, b + common, paired=False).high - found.high == pytest.approx(0, abs=1e-9)


def test_equal_differences_of_runs_without_images_are_no_certainty():
    found = evaluate.compare([[0.9], [0.8]], [[0.8], [0.7]])
    assert (found.low, found.high, found.verdict) == (-math.inf, math.inf, "too close to tell")
    assert evaluate.compare(np.ones((1, 9)), np.zeros((1, 9))).verdict == "ahead"


@pytest.mark.parametrize(
    ("a", "b"), [([0, 1], [1, 0]), ([[1]], [[0]]), ([[0, 1]], [[0, 1, 1]]), ([[0, math.nan]], [[0, 1]])]
)
def test_what_cannot_be_compared_is_refused(a, b):
    with pytest.raises(WorkbookError, match="compare needs"):
        evaluate.compare(a, b)


def test_a_claim_about_several_comparisons_holds_only_if_all_are_as_it_says():
    ahead, behind = (
        evaluate.compare(*pair) for pair in ((np.ones((1, 9)), np.zeros((1, 9))), (np.zeros((1, 9)), np.ones((1, 9))))
    )
    close = evaluate.compare([[0.9], [0.8]], [[0.8], [0.7]])
    assert evaluate.verdict([ahead, ahead]) == evaluate.verdict([behind], "behind") == "holds here"
    assert evaluate.verdict([ahead, close]) == evaluate.verdict([close], "behind") == "too close to tell"
    assert evaluate.verdict([ahead, close, behind]) == evaluate.verdict([ahead], "behind") == "does not hold here"
    plain = [evaluate.verdict(found) for found in (True, np.bool_(False), None)]
    assert plain == ["holds here", "does not hold here", "not testable here"]


def test_printed_shares_tell_how_many_images_are_possible():
    assert evaluate.image_counts(["33.33%", "66.67%"], 10) == [3, 6, 9]
    assert evaluate.image_counts(["33.33%", "0.250"], 13) == [12]
