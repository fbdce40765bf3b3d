"""What a queue between processes carries arrives as it was."""

from __future__ import annotations

import contextlib
import math
import pickle
import random
from collections import OrderedDict, namedtuple
from enum import IntEnum
from typing import Any

import pytest
from manyhands import _native

encode = _native.multiprocessing.encode
decode = _native.multiprocessing.decode

PICKLED = 15


def there_and_back(value: Any) -> Any:
    head, buffers = encode(value)
    assert type(head) is bytes
    return decode(head, buffers)


def is_pickled(value: Any) -> bool:
    return encode(value)[0][0] == PICKLED


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, of the same classes, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, float):
        return repr(a) == repr(b)
    return bool(a == b)


class Text(str):
    pass


class Number(int):
    pass


class Row(list):
    pass


Point = namedtuple("Point", "x y")


class Colour(IntEnum):
    RED = 1


SCALARS = [
    None,
    True,
    False,
    0,
    1,
    -1,
    127,
    128,
    -128,
    -129,
    2**31 - 1,
    2**31,
    -(2**31),
    -(2**31) - 1,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    10**1000,
    0.0,
    -0.0,
    1.5,
    math.inf,
    -math.inf,
    5e-324,
    "",
    "a",
    "\x00",
    "é",
    "ab",
    "aé",
    "Ω",
    "aΩ",
    "\U0001f600",
    "a\U0001f600" * 3,
    "\ud800",
    "a\udfffb",
    "x" * 254,
    "x" * 255,
    "x" * 256,
    "é" * 300,
    "Ω" * 300,
    b"",
    b"\x00",
    b"x" * 300,
    1j,
    bytearray(b""),
    bytearray(b"abc"),
]

LARGE = [
    *(b"b" * n for n in (8191, 8192, 32768, 10**6)),
    *("t" * n for n in (8191, 8192, 32768, 10**6)),
    *("é" * n for n in (8191, 8192, 10**6)),
    *("Ω" * n for n in (4095, 4096, 10**6)),
    *("\U0001f600" * n for n in (2047, 2048, 10**6)),
    "\ud800" * 10**5,
    *(bytearray(b"a") * n for n in (8191, 8192, 10**6)),
    list(range(10**5)),
    [float(n) for n in range(3000)],
    tuple(range(5000)),
    dict.fromkeys(range(5000)),
    {str(n): n for n in range(5000)},
    ["x" * 1000] * 1000,
    [("a", n) for n in range(20_000)],
]

CONTAINERS = [
    (),
    [],
    {},
    (1,),
    (1, "two", 3.0, None, True),
    [[], (), {}],
    {"a": 1, 2: "b", (3, 4): [5], None: None, b"c": 2.5, "é": {"": ""}},
    ("job", 17, {"arguments": [1, 2, 3], "name": "x" * 20}),
    [None] * 254,
    [None] * 255,
    [1] * 256,
    {n: n for n in range(300)},
    {"k" * n: n for n in range(40)},
]

CLASSES = [
    Text("abc"),
    Number(5),
    Row([1, 2]),
    Point(1, 2),
    Colour.RED,
    OrderedDict(b=1, a=2),
    {1, 2},
    frozenset((1, 2)),
    [Text("a"), Number(1)],
    (Point(1, [2]),),
    {Text("key"): Colour.RED},
    range(3),
    ...,
    NotImplemented,
    int,
    len,
    ValueError,
    slice(1),
]


def name(value: Any) -> str:
    return ascii(value)[:30]


@pytest.mark.parametrize("value", SCALARS + CONTAINERS + LARGE + CLASSES, ids=name)
def test_a_value_arrives_as_it_was(value: Any) -> None:
    assert same(there_and_back(value), value)
    assert same(there_and_back([value]), [value])
    assert same(there_and_back((value, 1)), (value, 1))
    assert same(there_and_back({"key": value}), {"key": value})


def test_not_a_number_keeps_its_bits() -> None:
    value = there_and_back(math.nan)
    assert math.isnan(value)
    assert math.copysign(1, there_and_back(-math.nan)) == -1


def test_plain_values_are_not_pickled() -> None:
    for value in CONTAINERS:
        assert not is_pickled(value)
    for value in CLASSES:
        assert is_pickled(value)


def random_value(draw: random.Random, depth: int = 0) -> Any:
    leaves: list[Any] = [
        lambda: draw.choice([None, True, False, -0.0, math.inf]),
        lambda: draw.randint(-(2 ** draw.randint(0, 70)), 2 ** draw.randint(0, 70)),
        lambda: draw.uniform(-1e9, 1e9),
        lambda: "".join(chr(draw.choice([65, 0xE9, 0x3A9, 0x1F600])) for _ in range(size())),
        lambda: "k" * size(),
        lambda: draw.randbytes(draw.choice([size(), 9000])),
    ]
    containers: list[Any] = [
        lambda: [random_value(draw, depth + 1) for _ in range(size())],
        lambda: tuple(random_value(draw, depth + 1) for _ in range(size())),
        lambda: {key(): random_value(draw, depth + 1) for _ in range(size())},
        lambda: bytearray(draw.randbytes(draw.choice([3, 9000]))),
        lambda: {draw.randint(0, 99)},
    ]

    def size() -> int:
        return min(int(draw.expovariate(0.3)), 40)

    def key() -> Any:
        return draw.choice([lambda: f"key {size()}", size, lambda: (size(), "x")])()

    return draw.choice(leaves if depth > 5 else leaves + containers)()


@pytest.mark.parametrize("seed", range(20))
def test_random_values_arrive_as_they_were(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(300):
        value = random_value(draw)
        head, buffers = encode(value)
        assert len(head) <= 32 * 1024
        assert same(decode(head, buffers), value)


def test_what_is_one_object_arrives_as_one() -> None:
    shared: list[int] = []
    first, second = there_and_back([shared, shared])
    assert first is second
    first, second = there_and_back(({"a": shared}, [shared]))
    assert first["a"] is second[0]
    array = bytearray(10_000)
    first, second = there_and_back((array, array))
    assert first is second
    large = "x" * 10_000
    first, second = there_and_back((large, [large]))
    assert first is second[0]
    pair = (1, 2)
    first, second = there_and_back([pair, pair])
    assert first is second
    many = [[n] for n in range(100)]
    result = there_and_back([many, many[::-1]])
    assert all(a is b for a, b in zip(result[0], reversed(result[1]), strict=True))


def test_a_container_may_contain_itself() -> None:
    value: list[Any] = [1]
    value.append(value)
    result = there_and_back(value)
    assert result[1] is result
    table: dict[str, Any] = {}
    table["self"] = (table,)
    result = there_and_back(table)
    assert result["self"][0] is result


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [1, 31, 32, 33, 34, 200])
def test_containers_may_be_nested_deep(depth: int) -> None:
    assert same(there_and_back(nested(depth)), nested(depth))


@pytest.mark.parametrize("inner", [(), [], {}, None, (1,)])
def test_there_is_no_depth_at_which_something_gets_lost(inner: Any) -> None:
    value = inner
    for _ in range(70):
        value = [value]
        assert there_and_back(value) == value


def test_too_deep_is_what_pickle_says() -> None:
    with pytest.raises(RecursionError):
        encode(nested(100_000))


def test_keys_of_any_form_find_their_values() -> None:
    for count in range(1, 40):
        table = {f"{'k' * count}{n}": n for n in range(600)}
        result = there_and_back(table)
        assert result == table
        assert all(result[f"{'k' * count}{n}"] == n for n in range(600))


def test_what_is_no_encoding_is_refused() -> None:
    for head in (b"", b"\xff", b"\x03", b"\x05abc", b"\x0c\x05", b"\x0d\xff", b"\x08\x00", b"\x10"):
        with pytest.raises(pickle.UnpicklingError):
            decode(head)
    with pytest.raises(pickle.UnpicklingError):
        decode(encode(1)[0] + b"\x00")


@pytest.mark.parametrize("seed", range(5))
def test_damaged_encodings_do_no_harm(seed: int) -> None:
    draw = random.Random(seed)
    heads = []
    while len(heads) < 100:
        value = random_value(draw)
        head, buffers = encode(value)
        # What is damaged in a pickle is for pickle to deal with.
        if head[0] not in (PICKLED, 16):
            heads.append((head, buffers))
    for head, buffers in heads:
        for _ in range(50):
            damaged = bytearray(head)
            for _ in range(draw.randint(1, 3)):
                damaged[draw.randrange(len(damaged))] = draw.choice([0, 255, draw.randrange(256)])
            damaged = damaged[: draw.randint(0, len(damaged))]
            if damaged[:1] in (b"\x0f", b"\x10"):
                continue
            # A list as a key is a TypeError, a character beyond Unicode's last a ValueError or a
            # SystemError.
            errors = (pickle.UnpicklingError, TypeError, ValueError, SystemError)
            with contextlib.suppress(*errors):
                decode(bytes(damaged), buffers)
