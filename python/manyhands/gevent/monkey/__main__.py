"""``python -m gevent.monkey``."""

from manyhands.gevent.monkey._command import main

main()
