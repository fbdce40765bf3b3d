"""Programs for gevent get our package of that name."""


def test_gevent_and_its_modules_are_ours(place):
    place.write(
        "program.py",
        """
        import gevent.lock, manyhands.gevent.lock
        from gevent import monkey
        assert gevent is manyhands.gevent and gevent.lock is manyhands.gevent.lock
        assert monkey.__spec__.name == "manyhands.gevent.monkey"
        """,
    )
    done = place.run("program.py")
    assert (done.returncode, done.stderr) == (0, "")


def test_patched_threads_are_greenlets_whatever_was_imported_before(place):
    for before in ("", "import threading as held, queue as line"):
        place.write(
            "program.py",
            f"""
            {before}
            from gevent import monkey
            monkey.patch_thread()
            monkey.patch_queue()
            import queue, threading, greenlet
            made = queue.Queue()
            thread = threading.Thread(target=lambda: made.put(greenlet.getcurrent()))
            thread.start()
            assert isinstance(made.get(), greenlet.greenlet)
            thread.join()
            if {bool(before)}:
                assert held.Thread is threading.Thread and line.Queue is queue.Queue
            """,
        )
        done = place.run("program.py")
        assert (done.returncode, done.stderr) == (0, "")


def test_a_late_patch_all_names_who_was_imported_too_early(place):
    place.write("early.py", "from time import sleep\n")
    place.write("program.py", "import early\nfrom gevent import monkey\nmonkey.patch_all()\n")
    done = place.run("program.py")
    assert done.returncode == 0
    assert "MonkeyPatchWarning" in done.stderr
    assert "early (time.sleep)" in done.stderr
