from doorbell.daemon.periodic import PeriodicTask


def test_work_is_done_when_due_and_once_after_a_long_pause() -> None:
    done: list[float] = []
    now = 0.0
    task = PeriodicTask(10.0, lambda: done.append(now), 5.0)
    for seconds in (0.0, 5.0, 14.9, 15.0, 99.0, 100.0, 109.0):
        now = seconds
        task.run_if_due(now)
    assert done == [5.0, 15.0, 99.0, 109.0]
