"""Where `manyhands run` has put our modules in the place of the standard library's."""

import sys


def release(*names):
    """Put the standard library's modules back, for good: they are about to be patched.

    Ours make threads wait, and have no parts that could be replaced by such as make greenlets wait.
    `multiprocessing` stays ours: what waits there waits for other processes.
    """
    starter = sys.modules.get("manyhands._start_imports")
    if starter is not None:
        # It takes from our `queue` what older ones of the standard library have not got.
        import manyhands.gevent.queue  # noqa: F401

        starter.release(names)
