"""What is shown of a change."""

from otel_accubooks.apply.change import difference


def test_equal_values_do_not_differ():
    """Whatever the order of their keys."""
    assert difference({"a": 1, "b": [2]}, {"b": [2], "a": 1}) == ()


def test_only_lines_that_differ_are_shown_with_what_is_around_them():
    """As in a unified diff, without names of files."""
    before = {f"key{i}": i for i in range(9)}
    lines = difference(before, {**before, "key4": "new"})
    assert [line for line in lines if line[0] in "+-"] == ['-  "key4": 4,', '+  "key4": "new",']
    assert len(lines) == 1 + 2 + 2 + 2


def test_what_is_new_is_shown_whole():
    """Nothing was there before."""
    assert difference(None, {"a": 1})[1:] == ("+{", '+  "a": 1', "+}")
