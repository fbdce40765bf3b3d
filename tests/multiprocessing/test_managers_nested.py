"""Lists, dicts and sets in a shared dict."""

from __future__ import annotations

import copy
import json
import multiprocessing
import multiprocessing.managers
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from manyhands.multiprocessing import get_context, managers


class Key:
    """A key that only Python can compare."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)


@pytest.fixture
def manager() -> Iterator[Any]:
    with managers.SyncManager(ctx=get_context("fork")) as made:
        yield weakref.proxy(made)


LISTS: list[Any] = [
    ("append", (9,)),
    ("extend", ([7, 8],)),
    ("insert", (1, 9)),
    ("pop", ()),
    ("pop", (0,)),
    ("remove", (2,)),
    ("clear", ()),
    ("sort", ()),
    ("reverse", ()),
    ("__setitem__", (0, 9)),
    ("__setitem__", (slice(0, 2), [5, 6, 7])),
    ("__delitem__", (slice(1),)),
    ("__iadd__", ([4],)),
    ("__imul__", (2,)),
]
DICTS: list[Any] = [
    ("__setitem__", ("c", 3)),
    ("__delitem__", ("a",)),
    ("pop", ("a",)),
    ("pop", ("x", 5)),
    ("popitem", ()),
    ("clear", ()),
    ("update", ({"a": 5, "z": 6},)),
    ("setdefault", ("q", 8)),
    ("__ior__", ({"b": 8},)),
]
SETS: list[Any] = [
    ("add", (9,)),
    ("clear", ()),
    ("discard", (1,)),
    ("remove", (1,)),
    ("pop", ()),
    ("update", ([7],)),
    ("__iand__", ({1},)),
    ("__ior__", ({5},)),
    ("__isub__", ({1},)),
    ("__ixor__", ({1, 5},)),
    ("difference_update", ([1],)),
    ("intersection_update", ([1],)),
    ("symmetric_difference_update", ([1, 8],)),
]
CHANGES = [
    *(([3, 1, 2], *change) for change in LISTS),
    *(({"a": 1, "b": 2}, *change) for change in DICTS),
    *(({1, 2, 3}, *change) for change in SETS),
]


@pytest.mark.parametrize(("start", "method", "args"), CHANGES)
def test_each_method_changes_what_is_shared(
    manager: Any, start: Any, method: str, args: tuple[Any, ...]
) -> None:
    expected = copy.deepcopy(start)
    wanted = getattr(expected, method)(*args)
    shared = manager.dict(top=start, nested={"in": [0, start]})
    readers: list[Any] = [lambda: shared["top"], lambda: shared["nested"]["in"][1]]
    for read in readers:
        value = read()
        result = getattr(value, method)(*args)
        assert result is value if wanted is expected else result == wanted
        assert value == expected
        assert read() == expected
    assert shared.copy() == {"top": expected, "nested": {"in": [0, expected]}}


def test_what_is_read_is_as_the_plain_thing(manager: Any) -> None:
    content: dict[str, Any] = {"list": [1, [2]], "dict": {"a": {"b": []}}, "set": {1}}
    shared = manager.dict(content)
    for key, plain in content.items():
        for value in (shared[key], shared.get(key), shared.get(key, []), shared.setdefault(key)):
            assert isinstance(value, type(plain))
            assert value == plain
            assert repr(value) == repr(plain)
            for same in (
                pickle.loads(pickle.dumps(value)),
                copy.copy(value),
                copy.deepcopy(value),
                value.copy(),
            ):
                assert type(same) is type(plain)
                assert same == plain
            with pytest.raises(TypeError):
                hash(value)
    assert json.dumps(shared["list"]) == "[1, [2]]"
    assert json.dumps(shared["dict"]) == '{"a": {"b": []}}'
    copied = shared["list"].copy()
    copied[1].append(3)
    assert type(shared.copy()["list"]) is list
    assert {type(value) for value in shared.values()} == {list, dict, set}
    assert shared.copy() == content


def test_errors_are_the_plain_ones_and_change_nothing(manager: Any) -> None:
    shared = manager.dict(l=[1], d={}, s=set())
    with pytest.raises(ValueError, match=r"list.remove\(x\): x not in list"):
        shared["l"].remove(5)
    with pytest.raises(IndexError):
        shared["l"].pop(3)
    with pytest.raises(KeyError):
        shared["d"].pop("x")
    with pytest.raises(KeyError):
        shared["d"]["x"]
    with pytest.raises(KeyError):
        shared["s"].remove(1)
    with pytest.raises(TypeError):
        shared["l"].append()
    assert shared.copy() == {"l": [1], "d": {}, "s": set()}


def test_all_parts_are_reached(manager: Any) -> None:
    shared = manager.dict(grid=[[0, 0], [0, 0]], tree={"a": [], "b": []})
    for row in shared["grid"]:
        row[0] += 1
    for row in reversed(shared["grid"]):
        row[-1] = 5
    shared["grid"][-1].append(6)
    for row in shared["grid"][1:]:
        row.append(7)
    for key, value in shared["tree"].items():
        value.append(key)
    for value in shared["tree"].values():
        value.append(0)
    shared["tree"].get("a").append(1)
    shared["tree"].setdefault("a").append(2)
    shared["tree"].setdefault("new", []).append(3)
    shared["tree"]["a"] += [4]
    assert shared.copy() == {
        "grid": [[1, 5], [1, 5, 6, 7]],
        "tree": {"a": ["a", 0, 1, 2, 4], "b": ["b", 0], "new": [3]},
    }


def test_a_part_stays_the_same_when_others_move(manager: Any) -> None:
    shared = manager.dict(rows=[[1], [2], [3]])
    rows = shared["rows"]
    first, last = rows[0], rows[2]
    rows.insert(0, [0])
    last.append("last")
    rows.reverse()
    first.append("first")
    assert rows[0] is last
    assert rows == shared["rows"] == [[3, "last"], [2], [1, "first"], [0]]
    rows.pop(0)
    # Not there any more.
    last.append("alone")
    assert last == [3, "last", "alone"]
    assert shared["rows"] == [[2], [1, "first"], [0]]


def test_what_somebody_else_did_is_kept(manager: Any) -> None:
    shared = manager.dict(a=[1], b={"in": {"x": 1}})
    mine, yours = shared["a"], shared["a"]
    yours.append(2)
    mine.append(3)
    assert mine == shared["a"] == [1, 2, 3]
    assert yours.pop() == 3
    inner = shared["b"]["in"]
    shared["b"]["in"]["y"] = 2
    inner["z"] = 3
    assert inner == shared["b"]["in"] == {"x": 1, "y": 2, "z": 3}


def test_what_was_replaced_is_an_error(manager: Any) -> None:
    shared = manager.dict(a=[1], b={"in": [[1], [2]]})
    gone, inner = shared["a"], shared["b"]["in"][0]
    shared["a"] = {"x": 1}
    with pytest.raises(RuntimeError, match=r"'a'.*list"):
        gone.append(2)
    del shared["a"]
    with pytest.raises(RuntimeError, match="'a'"):
        gone.append(2)
    shared["b"]["in"].pop(0)
    with pytest.raises(RuntimeError, match=r"\['b'\]\['in'\]\[0\]"):
        inner.append(2)
    shared["b"] = 5
    with pytest.raises(RuntimeError, match=r"\['b'\]"):
        inner.append(2)
    assert shared.copy() == {"b": 5}


def test_a_default_is_not_shared(manager: Any) -> None:
    shared = manager.dict()
    default: list[int] = []
    shared.get("a", default).append(1)
    assert default == []
    assert len(shared) == 0
    shared.setdefault("a", default).append(1)
    assert shared["a"] == [1]
    assert shared.get("b") is None


def append(shared: Any, name: str) -> None:
    for number in range(30):
        shared["list"].append((name, number))
        shared["deep"]["counts"][name] += 1
        shared["sum"] += [number]
        shared["deep"]["all"] += [number]


@pytest.mark.parametrize("with_key", [False, True])
def test_changes_of_several_processes_are_all_made(manager: Any, with_key: bool) -> None:
    names = ["a", "b", "c"]
    shared = manager.dict(list=[], sum=[], deep={"counts": dict.fromkeys(names, 0), "all": []})
    if with_key:
        # From then on it is Python that serves the dict.
        shared[Key(1)] = 1
    children = [get_context("fork").Process(target=append, args=(shared, name)) for name in names]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert len(shared["list"]) == 90
    assert shared["deep"]["counts"] == dict.fromkeys(names, 30)
    assert sorted(shared["deep"]["all"]) == sorted([*range(30)] * 3)
    if not with_key:
        assert sorted(shared["sum"]) == sorted([*range(30)] * 3)


def test_a_dict_that_python_serves_has_the_same(manager: Any) -> None:
    shared = manager.dict()
    shared[Key(1)] = [1]
    shared[Key(1)].append(2)
    assert shared[Key(1)] == [1, 2]
    assert shared.increment("n", 5) == 5
    assert shared.increment("n", 1 << 80) == (1 << 80) + 5
    assert shared.update_with("l", lambda old: [*old, 1], default=[]) == [1]
    shared["text"] = "x"
    with pytest.raises(TypeError):
        shared.increment("text")


def test_what_is_set_again_is_set(manager: Any) -> None:
    shared = manager.dict(a=[1])
    value = shared["a"]
    value += [2]
    shared["a"] = None
    shared["a"] = value
    shared["b"] = value
    assert shared.copy() == {"a": [1, 2], "b": [1, 2]}
    value.append(3)
    assert shared.copy() == {"a": [1, 2, 3], "b": [1, 2]}


def test_what_is_left_after_the_end_is_ones_own() -> None:
    with managers.SyncManager(ctx=get_context("fork")) as manager:
        shared = manager.dict(a=[2, [1]])
        value = shared["a"]
        assert value[1] == [1]
    value.append(3)
    value[1].append(2)
    assert value == [2, [1, 2], 3]


def test_a_server_of_the_standard_library_gives_plain_ones() -> None:
    theirs = multiprocessing.managers.SyncManager(ctx=multiprocessing.get_context("fork"))
    with theirs:
        manager = managers.SyncManager(theirs.address, theirs._authkey)  # type: ignore[attr-defined]
        manager.connect()
        shared: Any = manager.dict(a=[1])
        assert type(shared["a"]) is list
        assert type(shared.get("a", [])) is list
        assert type(shared.setdefault("a", [])) is list
        shared["a"].append(2)
        shared["a"] += [3]
        assert shared["a"] == [1, 3]
