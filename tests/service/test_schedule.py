"""When passes run: at once, on time, never twice at a time, whatever the clocks do."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace

import pytest
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler

from scanner.errors import SettingsError
from scanner.service import schedule
from scanner.service.jobs import Fires
from scanner.service.schedule import Deadline, Schedule
from scanner.service.triggers import Every, Noted, Trigger, trigger_of
from tests.support.machine import wait_for

HOUR = 3600.0
NOW = datetime(2026, 3, 4, 5, 6, 7, 891_011, tzinfo=UTC)
PATIENCE = 5.0
"""Seconds that a test waits for what should take milliseconds."""


# Triggers


def run_times(trigger: Trigger, due: datetime, now: datetime) -> tuple[int, datetime | None]:
    """How many runs APScheduler makes of a job due at `due` and looked at at `now`; the next."""
    job = Job(
        BackgroundScheduler(timezone=UTC),
        trigger=Fires(trigger),
        func=print,
        args=(),
        kwargs={},
        id="x",
        name="x",
        executor="default",
        misfire_grace_time=None,
        coalesce=True,
        max_instances=1,
        next_run_time=due,
    )
    times = job._get_run_times(now)
    return len(times), trigger.get_next_fire_time(times[-1] if times else due, now)


@pytest.mark.parametrize(
    "late",
    [
        timedelta(0),
        timedelta(seconds=1),
        timedelta(seconds=30),
        timedelta(days=1),
        timedelta(days=50 * 365),
    ],
)
@pytest.mark.parametrize("cron", ["", "*/1 * * * *"])
@pytest.mark.timeout(20)
def test_missed_runs_are_one_run_however_many(late: timedelta, cron: str) -> None:
    """A machine that wakes with its clock in 1970 and then learns the time missed millions."""
    count, due = run_times(trigger_of(30.0, cron), NOW - late, NOW)
    assert count == 1
    assert due is not None
    assert NOW < due <= NOW + timedelta(seconds=60 if cron else 30)


@pytest.mark.parametrize("cron", ["", "0 3 * * *"])
def test_first_run_is_at_once(cron: str) -> None:
    assert trigger_of(30.0, cron).get_next_fire_time(None, NOW) == NOW


def test_runs_keep_their_distance_from_the_one_before() -> None:
    trigger = trigger_of(30.0, "")
    started = NOW - timedelta(seconds=12)
    assert trigger.get_next_fire_time(started, NOW) == started + timedelta(seconds=30)


@pytest.mark.parametrize(
    "shift", [timedelta(seconds=-31), timedelta(hours=1), timedelta(days=9999)]
)
def test_run_that_would_be_past_or_far_away_is_one_interval_away(shift: timedelta) -> None:
    assert trigger_of(30.0, "").get_next_fire_time(NOW + shift, NOW) == NOW + timedelta(seconds=30)


def noted() -> Noted:
    """A lane that is scanned every 30 s, began at NOW, and is due again."""
    lane = Noted(trigger_of(30.0, ""), NOW)
    assert lane.get_next_fire_time(NOW, NOW) == NOW + timedelta(seconds=30)
    return lane


@pytest.mark.parametrize(("now", "due"), [(1, 5), (4, 5), (20, 25)])
def test_shorter_interval_counts_from_the_last_run(now: float, due: float) -> None:
    """Where that is past, from now: a pass that took longer than its interval is not repeated at
    once."""
    lane = noted()
    lane.change(Every(5.0), NOW + timedelta(seconds=now))
    assert (lane.due, lane.is_moved) == (NOW + timedelta(seconds=due), True)
    later = NOW + timedelta(seconds=due)
    assert lane.get_next_fire_time(later, later) == later + timedelta(seconds=5)


def test_longer_interval_counts_from_the_last_run() -> None:
    lane = noted()
    lane.change(Every(300.0), NOW + timedelta(seconds=7))
    assert lane.due == NOW + timedelta(seconds=300)


@pytest.mark.parametrize("step", [timedelta(days=3650), timedelta(days=-3650)])
def test_interval_that_changes_over_a_step_of_the_clock_is_one_interval(step: timedelta) -> None:
    lane = noted()
    lane.change(Every(60.0), NOW + step)
    assert lane.due == NOW + step + timedelta(seconds=60)


def test_lane_that_has_not_run_yet_runs_as_it_was_to() -> None:
    lane = Noted(trigger_of(30.0, ""), NOW)
    lane.change(Every(300.0), NOW - timedelta(seconds=1))
    assert (lane.due, lane.is_moved) == (NOW, False)
    assert lane.get_next_fire_time(NOW, NOW) == NOW + timedelta(seconds=300)


# Crontab lines

SUN, MON, TUE, WED, THU, FRI, SAT = range(7)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets TZ, for the C library as well."""

    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no TZ")


@posix
@pytest.mark.parametrize(
    ("name", "summer", "winter"),
    [
        ("Europe/Berlin", 2, 1),
        (":Europe/Berlin", 2, 1),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 2, 1),
        ("<+03>-3", 3, 3),
        ("UTC+2", -2, -2),
        ("EST5EDT", -4, -5),
        ("", 0, 0),
    ],
)
def test_crontab_counts_in_every_form_of_local_time(
    zone: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    name: str,
    summer: int,
    winter: int,
) -> None:
    zone(name)
    trigger = trigger_of(30.0, "0 3 * * *")
    for month, offset in ((1, winter), (7, summer)):
        noon = datetime(2026, month, 1, 12, tzinfo=UTC)
        due = trigger.get_next_fire_time(noon, noon)
        assert due is not None
        assert due.astimezone(UTC) == datetime(2026, month, 2, 3, tzinfo=UTC) - timedelta(
            hours=offset
        )
    assert not caplog.records


@posix
@pytest.mark.parametrize("name", ["Europe/Nowhere", "America/New York"])
def test_unknown_zone_is_utc_with_a_warning(
    zone: Callable[[str], None], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    zone(name)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    due = trigger_of(30.0, "0 3 * * *").get_next_fire_time(noon, noon)
    assert due == datetime(2026, 1, 2, 3, tzinfo=UTC)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"TZ={name} names no time zone")


@posix
def test_hour_that_comes_twice_fires_and_one_that_is_left_out_does_not_stop_it(
    zone: Callable[[str], None],
) -> None:
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    trigger = trigger_of(30.0, "30 2 * * *")
    for evening in (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 3, 28, 22, tzinfo=UTC)):
        due = trigger.get_next_fire_time(evening, evening)
        assert due is not None
        assert timedelta() < due - evening < timedelta(hours=28)


def fire_times(cron: str, count: int) -> list[datetime]:
    trigger = trigger_of(30.0, cron)
    times: list[datetime] = []
    now = datetime(2026, 1, 1, tzinfo=UTC)
    while len(times) < count:
        due = trigger.get_next_fire_time(now, now)
        assert due is not None
        times.append(now := due)
    return times


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", {SUN, MON, TUE, WED, THU, FRI, SAT}),
        ("0", {SUN}),
        ("7", {SUN}),
        ("1", {MON}),
        ("6", {SAT}),
        ("0,7", {SUN}),
        ("1,3,5", {MON, WED, FRI}),
        ("1-5", {MON, TUE, WED, THU, FRI}),
        ("0-2", {SUN, MON, TUE}),
        ("5-7", {FRI, SAT, SUN}),
        ("0-6", {SUN, MON, TUE, WED, THU, FRI, SAT}),
        ("1-7", {SUN, MON, TUE, WED, THU, FRI, SAT}),
        ("0-6/2", {SUN, TUE, THU, SAT}),
        ("*/2", {SUN, TUE, THU, SAT}),
        ("*/3", {SUN, WED, SAT}),
        ("1-5/2", {MON, WED, FRI}),
        ("1-2,6", {MON, TUE, SAT}),
        ("sun", {SUN}),
        ("Mon", {MON}),
        ("mon,WED", {MON, WED}),
        ("mon-fri", {MON, TUE, WED, THU, FRI}),
        ("tue-4", {TUE, WED, THU}),
        ("sat,0", {SAT, SUN}),
    ],
)
def test_weekdays_are_those_of_a_crontab(field: str, days: set[int]) -> None:
    """crontab(5): 0 and 7 are Sunday."""
    times = fire_times(f"30 12 * * {field}", 2 * len(days))
    assert {moment.isoweekday() % 7 for moment in times} == days
    assert {(moment.hour, moment.minute) for moment in times} == {(12, 30)}
    assert times[-1] - times[0] < timedelta(days=14, hours=2)


def test_named_weekdays_from_sunday_on_are_a_range() -> None:
    times = fire_times("30 12 * * sun-tue", 6)
    assert {moment.isoweekday() % 7 for moment in times} == {SUN, MON, TUE}


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("*/15 * * * *", ["00:15", "00:30", "00:45", "01:00"]),
        ("5,35 * * * *", ["00:05", "00:35", "01:05", "01:35"]),
        ("10-12 * * * *", ["00:10", "00:11", "00:12", "01:10"]),
        ("  0   */8  *  *  * ", ["08:00", "16:00", "00:00", "08:00"]),
    ],
)
def test_minutes_and_hours_are_local_times(
    monkeypatch: pytest.MonkeyPatch, cron: str, expected: list[str]
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert [f"{moment:%H:%M}" for moment in fire_times(cron, 4)] == expected


@posix
@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 0 */2 * 1", [5, 19]),  # Mondays that are odd days
        ("0 0 1-31/2 * 1", [3, 5, 7, 9, 11, 12, 13]),  # odd days and all Mondays
        ("0 0 13 * */6", [13, 13]),  # Sundays and Saturdays that are a 13th
    ],
)
def test_field_with_an_asterisk_and_the_other_must_both_hold(
    zone: Callable[[str], None], cron: str, days: list[int]
) -> None:
    """crontab(5) goes by the first character of the field. 2026-01-01 is a Thursday."""
    zone("UTC")
    assert [moment.day for moment in fire_times(cron, len(days))] == days


def test_days_and_months() -> None:
    times = fire_times("0 0 1 jan,7 *", 3)
    assert [(moment.day, moment.month) for moment in times][1:] in (
        [(1, 7), (1, 1)],
        [(1, 1), (1, 7)],
    )


@pytest.mark.parametrize(
    "cron",
    [
        "nonsense",
        "@daily",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * 5-1",
        "* * * * 1-2-3",
        "* * * * ,",
        "* * * * 1,",
        "* * * * */0",
        "* * * * 1-5/0",
        "* * * * funday",
        "* * * * mon-funday",
        "*/0 * * * *",
        "a-b * * * *",
        "²  * * * *",
        "* * * * ²",
    ],
)
def test_line_that_makes_no_sense_is_refused_in_one_sentence(cron: str) -> None:
    with pytest.raises(SettingsError) as caught:
        trigger_of(30.0, cron)
    text = str(caught.value)
    assert text.startswith("cron: expected five fields")
    assert repr(cron) in text
    assert "\n" not in text
    assert text.endswith(".")
    assert ". " not in text


def test_line_for_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(SettingsError):
        trigger_of(30.0, "0 0 30 2 *")


@pytest.mark.parametrize("cron", ["* * * * 8", "* * * *", "* * * * 1-5/0"])
def test_refusal_says_what_is_wrong_in_words_of_a_crontab(cron: str) -> None:
    with pytest.raises(SettingsError) as caught:
        trigger_of(30.0, cron)
    assert not any(word in str(caught.value) for word in ("tuple", "unpack", "slice"))


# The loop


class Clock:
    """A wall clock that can be set; the monotonic one goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = timedelta(0)
        clock = self

        class Stepped(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + clock.offset

        monkeypatch.setattr(schedule, "datetime", Stepped)
        monkeypatch.setattr("apscheduler.schedulers.base.datetime", Stepped)
        monkeypatch.setattr(
            schedule,
            "time",
            SimpleNamespace(
                time=lambda: time.time() + clock.offset.total_seconds(), monotonic=time.monotonic
            ),
        )

    def step(self, **by: float) -> None:
        self.offset += timedelta(**by)


class Running:
    """A schedule in a thread of its own, and the passes that it ran."""

    def __init__(self) -> None:
        self.passes: list[str] = []
        self.left: list[float] = []
        self.most_at_once = 0
        self.stop = threading.Event()
        self.ended: bool | None = None
        self.hang: threading.Event | None = None
        self.error: Exception | None = None
        self.at_rest: Callable[[], None] = lambda: None
        self._now: list[str] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)

    def start(
        self, every: float, lanes: tuple[str, ...] = ("local",), patience: float = PATIENCE
    ) -> Running:
        self.schedule = Schedule(trigger_of(every, ""), at_rest=self.at_rest)
        for lane in lanes:
            self.schedule.add(lane, self._pass_of(lane))
        self._patience = patience
        self._thread.start()
        return self

    def _run(self) -> None:
        self.ended = self.schedule.run(self.stop, self._patience)

    def _pass_of(self, lane: str) -> Callable[[Deadline], None]:
        def run(seconds_left: Deadline) -> None:
            left = seconds_left()
            with self._lock:
                self.left.append(left)
                self.passes.append(lane)
                self._now.append(lane)
                self.most_at_once = max(self.most_at_once, self._now.count(lane))
            try:
                if self.hang is not None and lane == "local":
                    self.hang.wait(4 * PATIENCE)
                if self.error is not None:
                    raise self.error
            finally:
                with self._lock:
                    self._now.remove(lane)

        return run

    def wait_for(self, count: int) -> None:
        """Wait until so many passes have begun."""
        end = time.monotonic() + PATIENCE
        while len(self.passes) < count and time.monotonic() < end:
            time.sleep(0.002)
        assert len(self.passes) >= count

    def end(self) -> bool | None:
        """Stop; what the schedule returned."""
        self.stop.set()
        self._thread.join(4 * PATIENCE)
        return self.ended


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(schedule, "LOOK_EVERY", 0.02)
    started = Running()
    yield started
    if started.hang is not None:
        started.hang.set()
    assert started.end() is not None


def test_first_pass_runs_at_once_and_further_ones_at_each_interval(running: Running) -> None:
    began = time.monotonic()
    running.start(0.1)
    running.wait_for(1)
    assert time.monotonic() - began < 1
    running.wait_for(4)
    assert time.monotonic() - began > 0.25
    assert running.end() is True


def test_a_long_interval_runs_once_and_ends_at_once(running: Running) -> None:
    running.start(HOUR)
    running.wait_for(1)
    time.sleep(0.1)
    began = time.monotonic()
    assert running.end() is True
    assert time.monotonic() - began < 1
    assert len(running.passes) == 1


def test_passes_are_told_how_long_they_may_take(running: Running) -> None:
    running.start(HOUR)
    running.wait_for(1)
    assert HOUR - 10 < running.left[0] <= HOUR
    due = running.schedule.next_due("local")
    assert due is not None
    assert abs((due - datetime.now(UTC)).total_seconds() - HOUR) < 10
    assert running.schedule.next_due("no such lane") is None
    assert running.schedule.seconds_until("no such lane") == float("inf")


def test_pass_never_overlaps_itself_and_what_it_missed_is_not_made_up_for(
    running: Running,
) -> None:
    running.hang = threading.Event()
    running.start(0.05)
    running.wait_for(1)
    time.sleep(0.5)
    assert len(running.passes) == 1
    running.hang.set()
    time.sleep(0.2)
    assert running.most_at_once == 1
    assert len(running.passes) <= 1 + 5  # ten were missed, four or five have been due since
    running.wait_for(3)  # and it goes on


def test_first_pass_that_takes_longer_than_its_interval_may_go_on_until_the_next(
    running: Running,
) -> None:
    """It reads files after its scan, and would read none if its time were over for good."""
    running.hang = threading.Event()
    running.start(0.5)
    running.wait_for(1)
    left = set()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        left.add(running.schedule.seconds_until("local") > 0.25)
        time.sleep(0.01)
    assert left == {True, False}
    assert -0.25 < running.schedule.seconds_until("local") <= 0.5
    assert len(running.passes) == 1


def test_step_of_the_clock_in_the_first_pass_puts_off_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without a battery-backed clock learns the time some seconds after its start."""
    clock = Clock(monkeypatch)
    running.hang = threading.Event()
    running.start(HOUR)
    running.wait_for(1)
    clock.step(days=3650)
    time.sleep(0.2)
    assert HOUR - 10 < running.schedule.seconds_until("local") <= HOUR
    running.hang.set()
    time.sleep(0.3)
    assert len(running.passes) == 1
    clock.step(days=-3650)
    running.wait_for(2)


def test_scheduler_is_made_after_a_first_pass_and_told_once(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[int] = []
    running.hang = threading.Event()
    running.at_rest = lambda: rests.append(len(running.passes))
    running.start(HOUR)
    running.wait_for(1)
    time.sleep(0.1)
    assert not rests
    assert running.schedule._jobs is None
    running.hang.set()
    running.schedule.set_every("local", 0.05)
    running.wait_for(3)
    assert rests == [1]


def test_interval_that_is_set_in_the_first_pass_holds_after_it(running: Running) -> None:
    running.hang = threading.Event()
    running.start(HOUR)
    running.wait_for(1)
    running.schedule.set_every("local", 0.05)
    running.hang.set()
    running.wait_for(3)


def test_thread_that_cannot_be_started_is_told_and_the_lane_tried_again(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    running.start(HOUR)
    running.wait_for(1)
    wait_for(lambda: not running.schedule._first, "the job of the first lane")
    ran = threading.Event()
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(threading.Thread, "start", refused)
        running.schedule.add("//nas/share", lambda seconds_left: ran.set())
    assert ran.wait(PATIENCE)
    assert "The scan of //nas/share failed: The system gives this program no more" in caplog.text


def test_lanes_do_not_wait_for_one_that_hangs(running: Running) -> None:
    running.hang = threading.Event()
    running.start(0.05, ("local", "//nas/share"))
    running.wait_for(5)
    assert running.passes.count("local") == 1


def test_error_in_a_pass_is_logged_and_the_loop_goes_on(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.error = ValueError("no such luck")
    with caplog.at_level(logging.ERROR, "scanner.service.schedule"):
        running.start(0.05)
        running.wait_for(3)
        running.end()
    told = [
        record.getMessage()
        for record in caplog.records
        if record.name == "scanner.service.schedule"
    ]
    assert len(told) >= 2
    assert set(told) == {"The scan of local failed: no such luck"}


@pytest.mark.parametrize(
    "step",
    [{"days": 3650}, {"days": -3650}, {"hours": 2}, {"hours": -2}, {"days": 50 * 365}],
    ids=str,
)
def test_step_of_the_clock_is_followed_by_exactly_one_pass(
    running: Running, monkeypatch: pytest.MonkeyPatch, step: dict[str, float]
) -> None:
    """Neither is the next one put off by years, nor are years of missed ones made up for."""
    clock = Clock(monkeypatch)
    running.start(HOUR)
    running.wait_for(1)
    time.sleep(0.05)  # its job is placed by now
    clock.step(**step)
    running.wait_for(2)
    time.sleep(0.2)
    assert len(running.passes) == 2
    assert HOUR - 10 < running.schedule.seconds_until("local") <= HOUR


def test_clock_that_is_put_right_by_a_second_changes_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    running.start(HOUR)
    running.wait_for(1)
    for _ in range(3):
        clock.step(seconds=-1)
        time.sleep(0.1)
    assert len(running.passes) == 1


def test_short_intervals_go_on_after_the_clock_was_set_back(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    running.start(0.05)
    running.wait_for(2)
    clock.step(days=-1)
    running.wait_for(len(running.passes) + 3)


def test_stop_waits_for_the_pass_that_runs(running: Running) -> None:
    running.hang = threading.Event()
    running.start(HOUR)
    running.wait_for(1)
    threading.Timer(0.2, running.hang.set).start()
    assert running.end() is True
    assert running.most_at_once == 1


def test_stop_leaves_a_stuck_pass_behind(running: Running) -> None:
    running.hang = threading.Event()
    running.start(HOUR, patience=0.3)
    running.wait_for(1)
    began = time.monotonic()
    assert running.end() is False
    assert 0.2 < time.monotonic() - began < 2


def test_lane_that_is_added_while_the_schedule_runs_runs_at_once(running: Running) -> None:
    running.start(HOUR)
    running.wait_for(1)
    added = threading.Event()
    running.schedule.add("//nas/share", lambda seconds_left: added.set())
    assert added.wait(PATIENCE)
    assert running.passes == ["local"]


def test_lane_takes_another_interval_while_the_schedule_runs(running: Running) -> None:
    running.start(HOUR, ("local", "//nas/share"))
    running.wait_for(2)
    running.schedule.set_every("local", 2 * HOUR)
    assert HOUR < running.schedule.seconds_until("local") <= 2 * HOUR
    running.schedule.set_every("no such lane", 1.0)
    running.schedule.set_every("local", 0.05)
    running.wait_for(5)
    assert running.passes.count("//nas/share") == 1


def test_interval_set_in_a_pass_that_the_end_waits_for_does_not_hang(running: Running) -> None:
    """The scheduler, which holds its lock while it waits for passes, must not be asked there."""
    began, go_on = threading.Event(), threading.Event()

    def a_pass(seconds_left: Deadline) -> None:
        began.set()
        go_on.wait(PATIENCE)
        running.schedule.set_every("slow", 7.0)

    running.start(HOUR)
    running.schedule.add("slow", a_pass)
    assert began.wait(PATIENCE)
    threading.Timer(0.1, go_on.set).start()
    assert running.end() is True


def test_step_of_the_clock_scans_at_once_whatever_interval_was_set(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    running.start(HOUR)
    running.wait_for(1)
    running.schedule.set_every("local", 2 * HOUR)
    time.sleep(0.05)  # its job is placed by now
    clock.step(days=-3650)
    running.wait_for(2)
    assert HOUR < running.schedule.seconds_until("local") <= 2 * HOUR


def test_nothing_runs_after_the_stop(running: Running) -> None:
    running.start(0.02)
    running.wait_for(2)
    running.end()
    count = len(running.passes)
    time.sleep(0.15)
    assert len(running.passes) == count
