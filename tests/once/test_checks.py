"""_checks: what is let through, and that the message names rule, value and fix."""

import math

import numpy as np
import pytest

from keras_dcnn import _checks as v


@pytest.mark.parametrize("value", [0, 1.5, np.float32(2), np.int64(3), np.array(4.0)])
def test_numbers_pass(value):
    v.check_number("x", value, minimum=0)
    v.check_number("x", value, minimum=value)
    with pytest.raises(ValueError, match="`x` must be a finite number above"):
        v.check_number("x", value, above=value)


@pytest.mark.parametrize(
    "value",
    [None, "1", True, math.nan, math.inf, [1], np.ones(2), -1, 1j, np.complex64(1), 10**400],
)
def test_what_is_no_number_of_at_least_zero(value):
    with pytest.raises(ValueError, match="`x` must be a finite number of at least 0; got"):
        v.check_number("x", value, minimum=0)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: v.check_choice("mode", "mix", ("min", "max")), "one of 'min', 'max'; got 'mix'"),
        (lambda: v.check_count("n", 2.0), "whole number of at least 1; got 2.0"),
        (lambda: v.check_count("n", True), "whole number of at least 1; got True"),
        (lambda: v.check_count("n", 0), "whole number of at least 1; got 0"),
        (lambda: v.check_count("n", np.array(3.5)), r"whole number of at least 1; got array\(3.5"),
        (lambda: v.check_count("n", np.array([3, 4])), r"whole number of at least 1; got array"),
        (lambda: v.check_choice("n", np.array(["a", "b"]), ("a", "b")), "one of 'a', 'b'; got arr"),
        (lambda: v.as_axes("a", [np.array(1.5)]), "`a` must be whole numbers"),
        (lambda: v.check_shares("w", np.array(1.0), 1, "member"), "one number per member, 1; got"),
        (lambda: v.symmetric_range("r", [1]), r"`r` must be a pair \(low, high\)"),
        (lambda: v.symmetric_range("r", {}), r"at least 0, or a pair \(low, high\); got {}"),
        (lambda: v.by_key("r", {"a": 1, 2: 3}, ("a", "b")), r"keys 'a' and 'b'; got \['a', 2\]"),
        (lambda: v.check_range("r", (2, 1)), r"low ≤ high; got \(2, 1\): swap"),
        (lambda: v.check_range("r", 3), r"pair \(low, high\); got 3"),
        (lambda: v.check_range("r", (0, 1), above=0), "finite number above 0; got 0"),
        (lambda: v.check_value_range((1, 1)), r"low < high, such as .*; got \(1, 1\)"),
    ],
)
def test_messages(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_a_path_may_begin_at_home_and_is_not_empty(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert v.as_path("path", "~/runs") == v.as_path("path", tmp_path / "runs") == tmp_path / "runs"
    for wrong in ("", None, 3, b"runs"):
        with pytest.raises(ValueError, match=r"`path` must be a path.*got"):
            v.as_path("path", wrong)
