"""A worker of a cluster answers for the storage that was meant, or not at all: all its checks."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from scanner import __version__
from scanner.cluster import serving
from scanner.cluster.crew import LEASE, Crew, addresses
from scanner.cluster.links import LinkedPaths
from scanner.cluster.path_map import VARIABLE, WrongMapError, answer_for, map_from
from scanner.cluster.serving import boot_id, examine, serve
from scanner.cluster.session import AT_ONCE, FIRST, ClusterSession
from scanner.cluster.terms import Examined, Sample, Share, Terms
from scanner.core.mount_identity import MountIdentity
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.workers.lost import LostWorkerError
from scanner.workers.requests import (
    Failed,
    ListDirectory,
    Listed,
    Request,
    StatBelow,
    Stated,
    StatedBelow,
    StatPath,
    Timed,
    Took,
)
from scanner.workers.worker import LocalWorker, perform

ROOT = Mount("/", "ext4", "/dev/sda1")

WORKER = "tcp://127.0.0.1:1"

FOLDERS = [f"folder_{n}" for n in range(FIRST + 4)]


class Storage:
    """A folder that counts as the mount of a NAS, whose place in the mount table a test changes."""

    def __init__(self, point: Path) -> None:
        self.point = str(point)
        self.mount = Mount(self.point, "nfs4", "nas:/volume1")
        self.table = [ROOT, self.mount]
        self.asked: list[Request] = []
        """By a worker; `asked_here` by this machine's own."""
        self.asked_here: list[Request] = []
        self.before_answer: Callable[[], object] = lambda: None
        for name in FOLDERS:
            folder = point / name
            folder.mkdir(parents=True)
            (folder / "a.safetensors").write_text(name)
        (point / "empty.safetensors").touch()
        self.device = point.stat().st_dev
        self.samples = [self._sample("folder_0/a.safetensors"), self._sample("empty.safetensors")]

    def path(self, name: str) -> str:
        return os.path.join(self.point, name)

    @property
    def terms(self) -> Terms:
        return Terms(__version__, self.point, self.mount.identity, self.device, False, 1, 0.0)

    @property
    def requests(self) -> list[Request]:
        return [ListDirectory(self.path(name)) for name in FOLDERS[:3]]

    def _sample(self, name: str) -> Sample:
        stat = os.stat(self.path(name))
        return Sample(self.path(name), False, stat.st_size, stat.st_mtime_ns)

    def examined(self, terms: Terms | None = None) -> Examined:
        return examine(terms or self.terms, self.samples, boot_id(), WORKER)

    def share(self, requests: Iterable[Request] | None = None) -> Share:
        body = pickle.dumps(list(self.requests if requests is None else requests))
        share: Share = pickle.loads(serve(self.terms, body, WORKER))
        return share

    # What happens to it

    def unmount(self) -> None:
        self.table = [ROOT]

    def remount(self) -> None:
        self.table = [ROOT, Mount(self.point, "nfs4", "nas:/volume2")]

    def retype(self) -> None:
        self.table = [ROOT, Mount(self.point, "fuse.sshfs", "nas:/volume1")]

    def lose_folder(self) -> None:
        os.rename(self.point, self.point + ".away")


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    made = Storage(tmp_path / "nas")

    def answered(files: Any, request: Request) -> Any:
        made.asked.append(request)
        made.before_answer()
        return perform(files, request)

    monkeypatch.setattr(serving, "read_mounts", lambda: made.table)
    monkeypatch.setattr(serving, "perform", answered)
    monkeypatch.setattr(serving, "_ACCEPTED", {})
    monkeypatch.delenv(VARIABLE, raising=False)
    return made


LOSSES = [Storage.unmount, Storage.remount, Storage.retype, Storage.lose_folder]


# The mount, before and after a share


def test_share_of_an_accepted_mount_is_answered(storage: Storage) -> None:
    assert storage.examined() == Examined(WORKER, storage.examined().host, "", (), bool(boot_id()))
    share = storage.share()
    assert [type(answer) for answer in share.answers] == [Listed] * 3
    assert (share.worker, list(share.rest), share.refusal) == (WORKER, [], "")


@pytest.mark.parametrize("lose", LOSSES)
def test_mount_that_goes_in_the_middle_of_a_share_drops_all_of_it(
    storage: Storage, lose: Callable[[Storage], None]
) -> None:
    storage.examined()

    def second_one_loses_it() -> None:
        if len(storage.asked) == 2:
            lose(storage)

    storage.before_answer = second_one_loses_it
    share = storage.share()
    assert len(storage.asked) == 3
    assert list(share.answers) == []
    assert list(share.rest) == storage.requests
    assert f"its mount for {storage.point} is gone" in share.refusal


@pytest.mark.parametrize("lose", LOSSES)
def test_mount_that_went_before_a_share_is_not_touched(
    storage: Storage, lose: Callable[[Storage], None]
) -> None:
    terms = storage.terms
    storage.examined()
    requests = storage.requests
    lose(storage)
    share: Share = pickle.loads(serve(terms, pickle.dumps(requests), WORKER))
    assert storage.asked == []
    assert list(share.answers) == [] and list(share.rest) == requests
    assert "is gone" in share.refusal


def test_worker_that_was_not_examined_answers_nothing(storage: Storage) -> None:
    share = storage.share()
    assert storage.asked == [] and list(share.answers) == []
    assert share.refusal == "it was started anew"


def test_mount_that_is_accepted_for_other_terms_answers_nothing(storage: Storage) -> None:
    storage.examined()
    storage.mount = Mount(storage.point, "nfs4", "nas:/volume9")
    assert storage.share().refusal == "it was started anew"


def test_mapped_mount_that_goes_in_the_middle_drops_the_share(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may differ from that of the coordinator, but not from the one that was examined."""
    disk = mapped(storage, tmp_path, monkeypatch)
    assert storage.examined()[2:4] == ("", ())
    answers = storage.share().answers
    assert [(type(answer), answer.path) for answer in answers] == [
        (Listed, storage.path(name)) for name in FOLDERS[:3]
    ]
    storage.before_answer = lambda: storage.table.__setitem__(-1, Mount(disk, "ext4", "/dev/sdc1"))
    share = storage.share()
    assert list(share.answers) == [] and "there is ext4 /dev/sdc1" in share.refusal


def mapped(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the worker have the storage on a disk of its own, whose mount point is returned."""
    disk = str(tmp_path / "disk")
    os.mkdir(disk)
    os.rename(storage.point, f"{disk}/models")
    link = tmp_path / "volume1"
    link.symlink_to(disk)
    storage.table = [ROOT, Mount(disk, "xfs", "/dev/sdb1")]
    monkeypatch.setenv(VARIABLE, f'{{"{storage.point}": "{link}/models"}}')
    return disk


# What a worker has to see before it takes part


def test_another_version_takes_no_part(storage: Storage) -> None:
    examined = storage.examined(storage.terms._replace(version="0.0.1"))
    assert examined.refusal == f"it has version {__version__}, and here is 0.0.1"
    assert storage.share().refusal


@pytest.mark.parametrize(
    ("lose", "refusal"),
    [
        (Storage.unmount, "nothing is mounted for"),
        (Storage.remount, "another file system is at"),
        (Storage.retype, "another file system is at"),
        (Storage.lose_folder, "nothing is mounted for"),
    ],
)
def test_another_mount_takes_no_part(
    storage: Storage, lose: Callable[[Storage], None], refusal: str
) -> None:
    """Even where its files look the same, as in an older copy of the storage."""
    terms, samples = storage.terms, storage.samples
    lose(storage)
    assert examine(terms, samples, boot_id(), WORKER).refusal.startswith(refusal)
    share: Share = pickle.loads(serve(terms, pickle.dumps([]), WORKER))
    assert share.refusal == "it was started anew"


def test_mount_above_the_point_is_another_one(storage: Storage) -> None:
    """An unmounted folder lies on the mount above it, which may be the same NAS."""
    storage.table = [ROOT, storage.mount._replace(point=os.path.dirname(storage.point))]
    assert storage.examined().refusal == f"nothing is mounted for {storage.point}"


def test_map_may_lead_to_another_kind_of_mount(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped(storage, tmp_path, monkeypatch)
    assert storage.examined()[2:4] == ("", ())
    monkeypatch.delenv(VARIABLE)
    assert storage.examined().refusal == f"nothing is mounted for {storage.point}"


def test_map_that_cannot_be_read_takes_no_part(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "nas=volume1")
    assert VARIABLE in storage.examined().refusal


def test_storage_that_does_not_answer_takes_no_part(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(DiskFileSystem):
        def stat(self, path: str) -> Any:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(serving, "_files", lambda by_lookup: Broken())
    examined = storage.examined()
    assert examined.refusal == f"{storage.point} does not answer: Input/output error"
    assert storage.share().refusal == "it was started anew"


def replace_by_folder(path: str) -> None:
    times = os.stat(path).st_mtime_ns
    os.unlink(path)
    os.mkdir(path)
    os.utime(path, ns=(times, times))


def truncate(path: str) -> None:
    times = os.stat(path).st_mtime_ns
    os.truncate(path, 1)
    os.utime(path, ns=(times, times))


@pytest.mark.parametrize(
    ("sample", "change"),
    [
        (0, truncate),
        (0, lambda path: os.utime(path, ns=(1, os.stat(path).st_mtime_ns + 1))),
        (0, os.unlink),
        (1, replace_by_folder),
    ],
    ids=["size", "mtime", "gone", "folder"],
)
def test_every_difference_of_a_sample_is_told(
    storage: Storage, sample: int, change: Callable[[str], object]
) -> None:
    samples = [storage.samples[sample]]
    assert examine(storage.terms, samples, "", WORKER).differing == ()
    change(samples[0].path)
    seen = examine(storage.terms, samples, "", WORKER).differing
    assert [sample.path for sample in seen] == [samples[0].path] and seen[0] != samples[0]


@pytest.mark.skipif(not boot_id(), reason="the kernel has no id here")
def test_one_kernel_means_one_boot_and_one_device(storage: Storage) -> None:
    terms, boot = storage.terms, boot_id()
    assert examine(terms, (), boot, WORKER).is_same_kernel
    assert not examine(terms, (), "another", WORKER).is_same_kernel
    assert not examine(terms, (), "", WORKER).is_same_kernel
    other = terms._replace(device=terms.device + 1)
    assert not examine(other, (), boot, WORKER).is_same_kernel


def test_unknown_kernels_are_not_one(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_BOOT", storage.path("no such file"))
    assert not examine(storage.terms, (), "", WORKER).is_same_kernel


# Its answers, in the coordinator's words


def test_answers_bear_the_number_of_the_coordinators_mount(storage: Storage) -> None:
    mine = os.stat(storage.point).st_dev
    theirs = mine + 1
    terms = storage.terms._replace(device=theirs)
    examine(terms, (), "", WORKER)
    asked: list[Request] = [
        Timed(ListDirectory(storage.path("folder_0"))),
        StatPath(storage.path("folder_1")),
        StatBelow(storage.point, ("folder_2", "no folder")),
    ]
    share: Share = pickle.loads(serve(terms, pickle.dumps(asked), WORKER))
    took, stated, below = share.answers
    assert isinstance(took, Took) and isinstance(took.answer, Listed)
    assert (took.answer.directory.device, took.answer.directory.inode) == (theirs, 0)
    assert isinstance(stated, Stated) and stated.stat.device == theirs
    assert isinstance(below, StatedBelow) and isinstance(below.stated[0], Stated)
    assert below.stated[0].stat.device == theirs and isinstance(below.stated[1], Failed)


def test_share_ends_after_a_while_and_gives_back_the_rest(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.examined()
    now = [0.0]
    monkeypatch.setattr("scanner.cluster.serving.time.monotonic", lambda: now[0])

    def takes_long() -> None:
        now[0] += serving.SHARE_SECONDS * 0.6

    storage.before_answer = takes_long
    share = storage.share()
    assert [answer.path for answer in share.answers] == [storage.path(n) for n in FOLDERS[:2]]
    assert list(share.rest) == storage.requests[2:]


# Paths


def test_longest_pair_of_a_map_counts_and_whole_names_only() -> None:
    paths = map_from('{"/mnt/nas": "/v1", "/mnt/nas/models": "/v2/", "/srv": "/"}')
    assert paths.there("/mnt/nas/a") == "/v1/a"
    assert paths.there("/mnt/nas/models/a") == "/v2/a"
    assert paths.there("/mnt/nas") == "/v1"
    assert paths.there("/srv") == "/" and paths.there("/srv/a") == "/a"
    assert paths.there("/mnt/nas2/a") == "/mnt/nas2/a"
    assert [paths.is_mapped(path) for path in ("/mnt/nas/a", "/mnt/nas2", "/mnt")] == [
        True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["[]", '{"/a": 1}', '{"a": "/b"}', '{"/a": "b"}', "{", "1"])
def test_wrong_maps_are_one_sentence(text: str) -> None:
    with pytest.raises(WrongMapError, match=VARIABLE):
        map_from(text)


def test_answers_get_the_coordinators_paths_again() -> None:
    stat = DiskFileSystem().stat("/")
    assert answer_for(StatPath("/mnt/a"), Stated("/v/a", stat)).path == "/mnt/a"
    timed = answer_for(Timed(StatPath("/mnt/a")), Took("/v/a", Stated("/v/a", stat), 1.0))
    assert isinstance(timed, Took)
    assert (timed.path, timed.answer.path) == ("/mnt/a", "/mnt/a")
    below = answer_for(
        StatBelow("/mnt", ("a", "b")),
        StatedBelow("/v", (Stated("/v/a", stat), Failed("/v/b", 2, "gone"))),
    )
    assert isinstance(below, StatedBelow)
    assert [one.path for one in below.stated] == ["/mnt/a", "/mnt/b"]


# Who takes part


class Answered(Future[Any]):
    """As Dask's: it is done before its answer has come over the network."""

    def __init__(self) -> None:
        super().__init__()
        self.fetches = 0
        """How often its answer takes longer than one waits."""

    status = "finished"

    def release(self) -> None: ...

    def result(self, timeout: float | None = None) -> Any:
        if self.fetches:
            self.fetches -= 1
            raise UnboundLocalError if self.fetches % 2 else TimeoutError
        return super().result(timeout)


class Client:
    """Stands in for Dask's client: every call is answered at once, in this process."""

    status = "running"
    scheduler = type("Scheduler", (), {"identity": None})

    def __init__(self, *workers: str) -> None:
        self.known = list(workers)
        self.examines: Callable[[str], Examined] = lambda worker: Examined(worker, "host")
        self.serves: Callable[..., bytes] = serve
        self.fetches = 0
        self.examined: list[str] = []
        self.sent: list[Sequence[Request]] = []

    def sync(self, call: object, **options: object) -> dict[str, Any]:
        return {"workers": dict.fromkeys(self.known)}

    def submit(self, call: Callable[..., Any], *given: Any, **options: Any) -> Any:
        future = Answered()
        worker = options["workers"][0]
        try:
            if call is examine:
                self.examined.append(worker)
                future.set_result(self.examines(worker))
            else:
                self.sent.append(pickle.loads(given[1]))
                future.fetches = self.fetches
                future.set_result(self.serves(*given, worker))
        except Exception as error:
            future.set_exception(error)
        return future


SAMPLE = Sample("/mnt/a", False, 1, 2)


def crew_of(client: Client, look: Callable[[Any], Any] = lambda samples: samples) -> Crew:
    terms = Terms(__version__, "/mnt", MountIdentity("nfs4", "nas:/v"), 1, False, 1, 0.0)
    return Crew(client, terms, look)


def test_worker_that_refuses_takes_no_part(caplog: pytest.LogCaptureFixture) -> None:
    client = Client("a", "b")
    client.examines = lambda worker: Examined(worker, "host", "no" if worker == "a" else "")
    assert list(crew_of(client).workers([SAMPLE])) == ["b"]
    assert "Worker a takes no part in /mnt: no." in caplog.text


def test_worker_that_cannot_be_examined_takes_no_part() -> None:
    client = Client("a", "b")

    def examined(worker: str) -> Examined:
        if worker == "a":
            raise ModuleNotFoundError("No module named 'scanner'")
        return Examined(worker, "host")

    client.examines = examined
    assert list(crew_of(client).workers([SAMPLE])) == ["b"]


def test_sample_that_changed_here_too_is_no_difference() -> None:
    """The storage lives: what counts is that both see the same now."""
    client = Client("a")
    grown = SAMPLE._replace(size=5)
    client.examines = lambda worker: Examined(worker, "host", differing=(grown,))
    assert list(crew_of(client, lambda samples: [grown]).workers([SAMPLE])) == ["a"]
    assert list(crew_of(client, lambda samples: [SAMPLE]).workers([SAMPLE])) == []
    assert list(crew_of(client, lambda samples: []).workers([SAMPLE])) == []


def test_one_differing_sample_is_enough() -> None:
    client = Client("a")
    same, other = SAMPLE._replace(path="/mnt/b"), SAMPLE._replace(size=5)
    client.examines = lambda worker: Examined(worker, "host", differing=(same, other))
    assert list(crew_of(client, lambda samples: [same, SAMPLE]).workers([SAMPLE])) == []


def test_answers_of_workers_count_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    client, now = Client("a"), [1000.0]
    monkeypatch.setattr("scanner.cluster.crew.time.monotonic", lambda: now[0])
    crew = crew_of(client)
    assert list(crew.workers([SAMPLE])) == ["a"]
    now[0] += LEASE / 2
    crew.workers([SAMPLE])
    assert client.examined == ["a"]
    client.examines = lambda worker: Examined(worker, "host", "gone")
    now[0] += LEASE
    assert list(crew.workers([SAMPLE])) == []
    client.examines = lambda worker: Examined(worker, "host")
    now[0] += LEASE
    assert list(crew.workers([SAMPLE])) == ["a"]
    crew.drop("a", "its mount is gone")
    assert list(crew.workers([SAMPLE])) == []
    now[0] += LEASE
    assert list(crew.workers([SAMPLE])) == ["a"]
    client.known = []
    assert list(crew.workers([SAMPLE])) == []


def test_scheduler_that_is_gone_is_lost() -> None:
    client = Client("a")
    client.sync = lambda *given, **options: (_ for _ in ()).throw(OSError("closed"))  # type: ignore[method-assign]
    with pytest.raises(LostWorkerError, match="does not answer"):
        addresses(client)
    client.status = "closed"
    with pytest.raises(LostWorkerError, match="is gone"):
        addresses(client)


# What becomes of a share


class Here(LocalWorker):
    """This machine's own worker."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(DiskFileSystem())
        self._storage = storage

    def ask(self, request: Request) -> None:
        self._storage.asked_here.append(request)
        super().ask(request)


def session_of(
    storage: Storage, client: Client, crew: Crew | None = None, stall_after: float = 60.0
) -> ClusterSession:
    return ClusterSession(
        client, crew or Crew(client, storage.terms, lambda samples: samples),
        Here(storage),
        stopped=lambda: False, stall_after=stall_after, weight=lambda path: 1,
        links=LinkedPaths({}, storage.point),
    )  # fmt: skip


def listed_by(session: ClusterSession, storage: Storage) -> dict[str, str]:
    """List all folders: the names that each answer has, by path."""
    for name in FOLDERS:
        session.ask(ListDirectory(storage.path(name)))
    found = {}
    while (answer := session.answer()) is not None:
        assert isinstance(answer, Listed)
        found[answer.path] = answer.directory.listing.names
    return found


def expected(storage: Storage) -> dict[str, str]:
    return {storage.path(name): "a.safetensors" for name in FOLDERS}


def test_nothing_of_a_refused_share_is_used(storage: Storage) -> None:
    """The mount goes while a share is answered, and the folder below it is empty."""
    client = Client(WORKER)
    client.examines = lambda worker: storage.examined()
    real = storage.point + ".real"

    def unmount() -> None:
        if not os.path.exists(real):
            storage.unmount()
            os.rename(storage.point, real)
            for name in FOLDERS:
                os.makedirs(storage.path(name))

    def served(*given: Any) -> bytes:
        share = serve(*given)
        if os.path.exists(real):  # this machine still has its mount
            shutil.rmtree(storage.point)
            os.rename(real, storage.point)
        return share

    client.serves = served
    storage.before_answer = unmount
    session = session_of(storage, client)
    assert listed_by(session, storage) == expected(storage)
    assert storage.asked == client.sent[0]


def test_worker_that_refused_a_share_gets_no_other(storage: Storage) -> None:
    client = Client("a", "b")
    refused: list[str] = []

    def served(terms: Terms, body: bytes, worker: str) -> bytes:
        if worker == "a":
            refused.append(worker)
            return pickle.dumps(Share(worker, (), pickle.loads(body), "its mount is gone"))
        return serve(terms, body, worker)

    client.serves = served
    crew = Crew(client, storage.terms, lambda samples: samples)
    storage.examined()
    assert listed_by(session_of(storage, client, crew), storage) == expected(storage)
    # As many as were under way when it refused the first one.
    assert 0 < len(refused) <= AT_ONCE * 2
    before = len(refused)
    assert listed_by(session_of(storage, client, crew), storage) == expected(storage)
    assert len(refused) == before


def test_errors_of_a_worker_are_asked_again_here(storage: Storage) -> None:
    client = Client(WORKER)

    def served(terms: Terms, body: bytes, worker: str) -> bytes:
        failed = [Failed(request.path, 2, "No such file") for request in pickle.loads(body)]
        return pickle.dumps(Share(worker, failed, ()))

    client.serves = served
    assert listed_by(session_of(storage, client), storage) == expected(storage)
    assert client.sent


def test_answer_that_takes_its_time_to_come_is_waited_for(storage: Storage) -> None:
    client = Client(WORKER)
    client.examines = lambda worker: storage.examined()
    client.fetches = 3
    assert listed_by(session_of(storage, client), storage) == expected(storage)
    assert len(storage.asked_here) == FIRST  # those that workers have to see as well


def test_answer_that_does_not_come_is_asked_for_here(storage: Storage) -> None:
    client = Client(WORKER)
    client.examines = lambda worker: storage.examined()
    client.fetches = 1 << 60
    session = session_of(storage, client, stall_after=0.0)
    assert listed_by(session, storage) == expected(storage)
    assert len(storage.asked_here) == len(FOLDERS)


@pytest.mark.parametrize("is_same_kernel", [True, False])
def test_folders_below_links_go_to_workers_of_this_kernel_only(
    storage: Storage, is_same_kernel: bool
) -> None:
    """Device and inode tell whether a link leads into its own way: those of another kernel do
    not."""
    link = os.path.join(os.path.dirname(storage.point), "elsewhere")
    os.rename(storage.path("folder_0"), link)
    os.symlink(link, storage.path("folder_0"))
    client = Client(WORKER)
    client.examines = lambda worker: storage.examined()._replace(is_same_kernel=is_same_kernel)
    session = session_of(storage, client)
    session.ask(ListDirectory(storage.point))
    assert session.answer() is not None
    assert listed_by(session, storage) == expected(storage)
    sent = {request[0] for share in client.sent for request in share}
    assert (storage.path("folder_0") in sent) is is_same_kernel
    assert storage.path("folder_1") in sent
