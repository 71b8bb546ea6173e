import hashlib
import math

import pytest

from precompute.steps.step import Step, keys_by_name, walk
from precompute.store.canonical import canonical, plain, seal, unseal


def step(**changes):
    fields = {
        "name": "s",
        "function": "f",
        "version": 1,
        "params": {"a": 1, "b": [0.1, None]},
        "data": {"d": "1"},
    }
    return Step(**{**fields, **changes})


def test_key_is_stable_across_releases():
    # Changing how keys are made makes every artifact that ships unreachable.
    recipe = b'{"data":{"d":"1"},"function":"f","inputs":{},"params":{"a":1,"b":[0.1,null]},"version":1}'
    assert step().key == hashlib.sha256(recipe).hexdigest()[:24]


def test_key_ignores_order_name_and_gpu():
    assert step(params={"b": (0.1, None), "a": 1}, name="other", gpu=True).key == step().key


@pytest.mark.parametrize(
    "change",
    [
        {"function": "g"},
        {"version": 2},
        {"params": {"a": 2, "b": [0.1, None]}},
        {"params": {"a": 1, "b": [0.1000001, None]}},
        {"params": {"a": 1}},
        {"data": {"d": "2"}},
        {"data": {"e": "1"}},
        {"inputs": {"x": Step("t", "f", 1)}},
    ],
)
def test_key_follows_all_else(change):
    assert step(**change).key != step().key


def test_key_follows_the_recipe_of_inputs_at_any_depth():
    def chain(version):
        source = Step("a", "f", version)
        return Step("c", "f", 1, inputs={"x": Step("b", "f", 1, inputs={"x": source})})

    assert chain(1).key == chain(1).key
    assert chain(1).key != chain(2).key
    swapped = Step("s", "f", 1, inputs={"x": Step("a", "f", 1), "y": Step("b", "f", 2)})
    other = Step("s", "f", 1, inputs={"y": Step("a", "f", 1), "x": Step("b", "f", 2)})
    assert swapped.key != other.key


def test_params_cannot_change_behind_the_key():
    params = {"a": [1]}
    made = step(params=params)
    params["a"].append(2)
    assert made.recipe["params"] == {"a": [1]}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"a": {1: 2}}, r"expected string keys at s: params.a, got 1"),
        ({"a": [{2, 3}]}, r"expected a JSON value at s: params.a\[0\], got set"),
        ({"a": math.nan}, r"expected a finite number at s: params.a, got nan"),
    ],
)
def test_params_that_json_would_change_are_refused(params, message):
    with pytest.raises(TypeError, match=message):
        step(params=params)


def test_walk_gives_inputs_first_and_each_key_once():
    a = Step("a", "f", 1)
    b, c = (Step(name, "f", 1, {"n": name}, inputs={"x": a}) for name in "bc")
    d = Step("d", "f", 1, inputs={"b": b, "c": c, "again": Step("a2", "f", 1)})
    assert [found.name for found in walk([d, b]).values()] == ["a", "b", "c", "d"]


def test_names_are_unambiguous():
    assert keys_by_name([step(), step()]) == {"s": step().key}
    with pytest.raises(ValueError, match="expected one step of the name 's'"):
        keys_by_name([step(), step(version=2)])


def test_canonical_has_one_spelling():
    assert canonical({"b": (1, 2.5), "a": "é"}) == b'{"a":"\\u00e9","b":[1,2.5]}'
    assert plain(True) is True


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"1", b"2", 1),
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data.replace(b"1", b"NaN", 1),
        lambda data: b"\xff" + data,
        lambda data: b"[]",
    ],
)
def test_seal_shows_damage(damage):
    sealed = seal({"a": 1})
    assert unseal(sealed) == {"a": 1}
    with pytest.raises(ValueError, match="digest does not match"):
        unseal(damage(sealed))
