"""Cooks steam buns, guests eat them, and the counter between them holds only a few.

A plain program of `threading` and `queue`: it runs with `python` as with `manyhands run`, and says
at the end on whose threads, queues and locks it ran.

    manyhands run examples/steamed_buns.py [COOKS] [GUESTS] [BUNS OF EACH COOK]
"""

import queue
import sys
import threading
import time

FILLINGS = ("pork", "red bean", "custard", "leek and egg")
CLOSED = None


def cook(name, buns, counter):
    for number in range(buns):
        filling = FILLINGS[number % len(FILLINGS)]
        counter.put((name, filling))  # waits while the counter is full


def guest(counter, eaten, lock):
    while (bun := counter.get()) is not CLOSED:
        _cook, filling = bun
        with lock:
            eaten[filling] = eaten.get(filling, 0) + 1
        counter.task_done()
    counter.task_done()


def main(cooks=4, guests=4, buns=10_000):
    counter = queue.Queue(maxsize=16)
    eaten, lock = {}, threading.Lock()
    kitchen = [
        threading.Thread(target=cook, args=(f"cook {number}", buns, counter), name=f"cook {number}")
        for number in range(cooks)
    ]
    tables = [
        threading.Thread(target=guest, args=(counter, eaten, lock), name=f"guest {number}")
        for number in range(guests)
    ]

    began = time.perf_counter()
    for thread in kitchen + tables:
        thread.start()
    for thread in kitchen:
        thread.join()
    for _ in tables:
        counter.put(CLOSED)
    counter.join()
    for thread in tables:
        thread.join()
    took = time.perf_counter() - began

    for filling in sorted(eaten):
        print(f"{eaten[filling]:8,} x {filling}")
    total = sum(eaten.values())
    assert total == cooks * buns, "a bun was lost, or eaten twice"
    print(f"{total:8,} buns, {cooks} cooks, {guests} guests: {took:.2f} s")
    for what, kind in (
        ("threads", threading.Thread),
        ("queue", type(counter)),
        ("lock", type(lock)),
        ("event", threading.Event),
    ):
        print(f"  {what:8} {kind.__module__}.{kind.__name__}")
    ours = type(counter).__module__.startswith("manyhands")
    print("on the engine of Manyhands" if ours else "on the standard library")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
