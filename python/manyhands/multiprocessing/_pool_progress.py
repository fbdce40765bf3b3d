"""How far the maps and iterators of a pool are whose progress is shown."""

from manyhands import _progress
from manyhands._native import concurrent as _native

#: How many chunks a map has at least, if there are as many items, whose progress is shown.
STEPS = 100


class ShownMap:
    """A map, and the bar that shows how far it is."""

    def __init__(self, pool, progress, iterable, chunksize):
        pool._check_running()
        if not hasattr(iterable, "__len__"):
            iterable = list(iterable)
        if chunksize is None:
            # The bar moves when a chunk is done.
            chunksize = -(-len(iterable) // max(STEPS, pool._processes * 4))
        self._pool = pool
        self._arguments = iterable, chunksize
        self._tally = _native.Tally()
        self._bar = _progress.show(progress, _reader(pool._scheduler, self._tally, len(iterable)))

    def get(self, func, mapper):
        """Return its result."""
        with self._bar:
            return self.begin(func, mapper, None, None).get()

    def begin(self, func, mapper, *callbacks):
        """Begin it; return its result to be."""
        iterable, chunksize = self._arguments
        try:
            return self._pool._map_async(
                func, iterable, mapper, chunksize, *callbacks, tally=self._tally
            )
        except BaseException:
            self._bar.end()
            raise


def _reader(scheduler, tally, total):
    """Return what tells how far so many calls of a pool are."""

    def read():
        *_, running, is_over = scheduler.progress()
        _, done, failed = tally.read()
        left = total - done - failed
        return _progress.Numbers(total, done, failed, min(left, running), is_over or left <= 0)

    return read


def show_imap(progress, iterable, results, scheduler, tally):
    """Show how far an iterator over results is, of which there is a weak reference."""
    try:
        length = len(iterable)
    except TypeError:
        length = None

    def read():
        iterator = results()
        *_, running, is_over = scheduler.progress()
        is_all_sent = iterator is not None and iterator._length is not None
        submitted, done, failed = tally.read()
        left = submitted - done - failed
        is_over = is_over or iterator is None or (is_all_sent and left <= 0)
        total = submitted if is_all_sent or (is_over and length is None) else length
        return _progress.Numbers(total, done, failed, min(left, running), is_over)

    _progress.show(progress, read)
