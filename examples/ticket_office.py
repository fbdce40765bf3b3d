"""Many processes sell the tickets of one hall, never one too many.

    python examples/ticket_office.py
    manyhands run examples/ticket_office.py
    manyhands run examples/ticket_office.py --kill   # a seller is killed with the lock in its hand

The last one would make the standard library's program wait for ever.
"""

import argparse
import multiprocessing
import os
import signal

TICKETS = 10_000
SELLERS = 4


def sell(left, lock, receipts, faint):
    sold = 0
    while True:
        with lock:
            if left.value == 0:
                break
            if faint and sold == 100:
                os.kill(os.getpid(), signal.SIGKILL)
            left.value -= 1
        sold += 1
        receipts.put((os.getpid(), sold))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kill", action="store_true", help="kill a seller that has the lock")
    parser.add_argument("--start-method", choices=multiprocessing.get_all_start_methods())
    options = parser.parse_args()

    context = multiprocessing.get_context(options.start_method)
    left = context.Value("i", TICKETS, lock=False)
    lock, receipts = context.Lock(), context.Queue()
    sellers = [
        context.Process(target=sell, args=(left, lock, receipts, options.kill and number == 0))
        for number in range(SELLERS)
    ]
    for seller in sellers:
        seller.start()
    sold = {}
    for _ in range(TICKETS):
        seller, count = receipts.get()
        assert count == sold.get(seller, 0) + 1, "receipts of one seller come in their order"
        sold[seller] = count
    for seller in sellers:
        seller.join()
    assert left.value == 0
    assert sum(sold.values()) == TICKETS
    codes = [seller.exitcode for seller in sellers]
    print(f"{TICKETS} tickets sold by {len(sold)} sellers, who ended with {codes}")


if __name__ == "__main__":
    main()
