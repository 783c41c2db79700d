/* A wall clock that can be set while a process runs: preloaded, it adds to the time the seconds (int64)
 * in the file that DOORBELL_CLOCK names. The clocks that nobody sets stay as they are. libfaketime is
 * no help: its clock_nanosleep refuses what time.sleep of Python 3.11 asks for. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *set_by;

__attribute__((constructor)) static void look_at_the_file(void) {
    const char *path = getenv("DOORBELL_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *set_by, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) set_by = mapped;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    long refused = syscall(SYS_clock_gettime, clock, now);
    if (!refused && clock == CLOCK_REALTIME && set_by) now->tv_sec += *set_by;
    return (int)refused;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (seconds) *seconds = precise.tv_sec;
    return precise.tv_sec;
}
