"""The main program of a worker, which its test module takes over: hence nothing is in here."""

import gevent_worker_events

gevent_worker_events.main()
