"""A process that is about to look at what anybody may have sent, and can do little else.

The system calls are refused by libseccomp (libseccomp2 in Debian and Ubuntu), which knows their
numbers on every processor. Where it is missing, or the kernel refuses, nothing is looked at.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from doorbell.errors import EnrollmentError

# To other machines and programs, and what goes around that or reaches into another process.
OUTSIDE = """
socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg recvfrom recvmsg
recvmmsg setsockopt getsockopt shutdown io_uring_setup io_uring_enter io_uring_register
execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise kcmp
pidfd_open pidfd_getfd pidfd_send_signal kill tkill rt_sigqueueinfo rt_tgsigqueueinfo
bpf perf_event_open userfaultfd mount umount2 pivot_root chroot unshare setns keyctl add_key
request_key init_module finit_module kexec_load open_by_handle_at name_to_handle_at
memfd_create shmget msgget semget mq_open
ioprio_set sched_setscheduler sched_setparam sched_setattr move_pages migrate_pages
"""
# To files; what is open already stays open.
FILES = """
open openat openat2 creat unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir link
linkat symlink symlinkat mknod mknodat chmod fchmod fchmodat fchmodat2 chown fchown lchown
fchownat truncate utimensat setxattr chdir fchdir inotify_init1 fanotify_init
"""
# Without these refused there is no confinement.
NEEDED = frozenset({"socket", "connect", "execve", "openat"})

# Beyond what the networks take: 48 megapixels while they are decoded, turned and cut.
ROOM_BYTES = 1_500_000_000
# Of a processor for one request, ten times what the slowest photo takes.
CPU_SECONDS = 20
OPEN_FILES = 64
NICENESS = 10

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
_ALL_THREADS = 4  # SCMP_FLTATR_CTL_TSYNC
_NOT_EQUAL, _MASKED_EQUAL = 1, 7
# By which a pipe is made to send any signal to any process: F_SETOWN, F_SETSIG, F_SETOWN_EX of
# fcntl, and FIOSETOWN and SIOCSPGRP of ioctl.
_SIGNALLING = {"fcntl": (8, 10, 15), "fcntl64": (8, 10, 15), "ioctl": (0x8901, 0x8902)}
_CLONE_THREAD = 0x10000


# Of <linux/prctl.h>, <linux/seccomp.h> and <linux/filter.h>.
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _BY_FILTER = 38, 22, 2
_INSTRUCTION_BYTES = 8


class _Program(ctypes.Structure):
    """``struct sock_fprog``: a filter as the kernel takes it."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``: what an argument is compared with."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Refusal:
    """A system call; where there is a comparison it is refused only where that holds."""

    name: str
    where: _Comparison | None = None
    action: int = _REFUSE


def refuse_outside() -> None:
    """Refuse this process and all it starts every way to others, for good; before any thread.

    Raises:
        EnrollmentError: this machine cannot.
    """
    calls = [_Refusal(name) for name in OUTSIDE.split()]
    calls += [
        _Refusal("tgkill", _Comparison(0, _NOT_EQUAL, os.getpid(), 0)),
        _Refusal("prlimit64", _Comparison(0, _NOT_EQUAL, 0, 0)),
        # A thread is needed, a process is not. Of the younger call the kernel cannot be told which
        # is meant; the C library then makes the older.
        _Refusal("clone", _Comparison(0, _MASKED_EQUAL, _CLONE_THREAD, 0)),
        _Refusal("clone3", action=_UNKNOWN),
    ]
    calls += [
        # The kernel looks at these bits alone, whatever stands above them.
        _Refusal(name, _Comparison(1, _MASKED_EQUAL, 0xFFFFFFFF, command))
        for name, commands in _SIGNALLING.items()
        for command in commands
    ]
    _load(calls, all_threads=False)


def refuse_files() -> None:
    """Refuse to open, make, change or remove files from now on.

    Where the kernel cannot be asked for all threads, as under an older systemd's filter, this one
    alone is refused: it is the one that decodes.

    Raises:
        EnrollmentError: this machine cannot.
    """
    calls = [_Refusal(name) for name in FILES.split()]
    calls.append(_Refusal("sched_setaffinity", _Comparison(0, _NOT_EQUAL, 0, 0)))
    calls.append(_Refusal("setpriority"))  # ``be_modest`` takes it before
    try:
        _load(calls, all_threads=True)
    except EnrollmentError:
        _load(calls, all_threads=False)


def be_modest() -> None:
    """Give way to everything else on the machine, and be the first to go where memory ends."""
    os.nice(NICENESS)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - no file
        file.write("1000")


def limit_resources(room_bytes: int = ROOM_BYTES) -> None:
    """Bound memory to what is used now and so much more; no file grows, no process starts."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no file
        used = int(file.read().split()[0]) * resource.getpagesize()
    for limit, value in (
        (resource.RLIMIT_AS, used + room_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        most = resource.getrlimit(limit)[1]
        bounded = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (bounded, bounded))


def limit_processor_time() -> None:
    """Let the kernel end this process if what follows takes too long; anew for each request."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + CPU_SECONDS, most))


def _load(refused: Sequence[_Refusal], *, all_threads: bool) -> None:
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError as exc:
        raise EnrollmentError(
            "what was sent cannot be looked at apart from all else: libseccomp is not installed; "
            "install it with: apt install libseccomp2"
        ) from exc
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    try:
        if all_threads:
            _checked(library.seccomp_attr_set(context, _ALL_THREADS, ctypes.c_uint32(1)))
        added = set()
        for each in refused:
            number = library.seccomp_syscall_resolve_name(each.name.encode())
            if number < 0:  # not on this processor, or younger than the library
                continue
            compared = [] if each.where is None else [each.where]
            array = (_Comparison * len(compared))(*compared)
            _checked(
                library.seccomp_rule_add_array(
                    context, ctypes.c_uint32(each.action), number, len(compared), array
                )
            )
            added.add(each.name)
        expected = NEEDED & {each.name for each in refused}
        if not expected <= added:
            raise EnrollmentError(f"libseccomp does not know {', '.join(expected - added)} here")
        if all_threads:
            _checked(library.seccomp_load(context))
        else:
            _load_here(library, context)
    finally:
        library.seccomp_release(context)


def _load_here(library: ctypes.CDLL, context: ctypes.c_void_p) -> None:
    """Confine this thread, and those that it starts, by the call that every service may make.

    The library's own way is a younger one, which systemd's @system-service leaves out.
    """
    reading, writing = os.pipe()
    with open(reading, "rb") as made:  # noqa: PTH123 - a pipe
        try:
            _checked(library.seccomp_export_bpf(context, writing))
        finally:
            os.close(writing)
        code = made.read()
    program = _Program(len(code) // _INSTRUCTION_BYTES, code)
    for call in (
        (_NO_NEW_PRIVILEGES, 1, 0, 0, 0),
        (_SET_SECCOMP, _BY_FILTER, ctypes.byref(program), 0, 0),
    ):
        if ctypes.CDLL(None, use_errno=True).prctl(*call):
            _checked(-ctypes.get_errno())


def _checked(result: int) -> None:
    if result < 0:
        raise EnrollmentError(
            "what was sent cannot be looked at apart from all else: the kernel does not refuse "
            f"system calls for this process ({os.strerror(-result)})"
        )
