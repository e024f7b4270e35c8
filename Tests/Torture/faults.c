/* A shim between one program and libc that makes its clock jump and its journal's disk fail, on command.
 *
 *   HEADGATE_FAULTS=FILE LD_PRELOAD=faults.so headgate run …
 *
 * FILE is mapped shared and holds, in the byte order of the machine (faults.py has the same table):
 *
 *   offset  type    meaning
 *        0  char[8] "HGFAULT1"
 *        8  int64   microseconds added to CLOCK_REALTIME, gettimeofday and time
 *       16  uint32  disk mode: 0 none, 1 enospc, 2 eio, 3 eio_sync, 4 readonly
 *       20  uint32  nothing
 *       24  uint64  writes to the journal (those that were refused too)
 *       32  uint64  bytes that those writes took
 *       40  uint64  fsync and fdatasync of the journal (those that failed too)
 *       48  uint64  calls that were made to fail
 *       56  uint64  reads of the clock that were shifted
 *
 * Disk modes concern descriptors of files whose path contains HEADGATE_FAULTS_FILE, or else "journal.sqlite": the database,
 * its log and its index.
 * enospc and readonly refuse writes and growth; eio refuses writes and syncs; eio_sync refuses syncs only.
 * Absolute deadlines in real time (semaphores, conditions, timers) are shifted back, as the kernel's clock did not jump.
 * Without HEADGATE_FAULTS, or where FILE is not such a file, nothing changes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DESCRIPTORS = 65536 };
enum { NO_FAULT, ENOSPC_MODE, EIO_MODE, EIO_SYNC_MODE, READONLY_MODE };

struct control {
    char magic[8];
    _Atomic int64_t clock_offset_us;
    _Atomic uint32_t disk_mode, nothing;
    _Atomic uint64_t writes, bytes, syncs, injected, clock_reads;
};

static struct control idle, *control = &idle;
static const char *faulty = "journal.sqlite";
static atomic_uchar tracked[MAX_DESCRIPTORS];

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("HEADGATE_FAULTS"), *name = getenv("HEADGATE_FAULTS_FILE");
    if (!path) return;
    if (name && *name) faulty = name;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (file < 0) return;
    struct control *mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED && memcmp(mapped->magic, "HGFAULT1", 8) == 0) control = mapped;
}

/* The next definition of a function: libc's own. */
#define REAL(name, type)                                            \
    static __typeof__(type) real_##name;                            \
    if (!real_##name) real_##name = (__typeof__(type))dlsym(RTLD_NEXT, #name)

/* ---- Descriptors ---- */

static int track(int file, const char *path) {
    if (file >= 0 && file < MAX_DESCRIPTORS) tracked[file] = path && strstr(path, faulty) != NULL;
    return file;
}

static int is_tracked(int file) { return file >= 0 && file < MAX_DESCRIPTORS && tracked[file]; }

static mode_t mode_of(int flags, va_list more) {
    return flags & (O_CREAT | __O_TMPFILE) ? (mode_t)va_arg(more, int) : 0;
}

#define OPEN(name)                                                  \
    int name(const char *path, int flags, ...) {                    \
        REAL(name, int (*)(const char *, int, ...));                \
        va_list more;                                               \
        va_start(more, flags);                                      \
        mode_t mode = mode_of(flags, more);                         \
        va_end(more);                                               \
        return track(real_##name(path, flags, mode), path);         \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                \
    int name(int folder, const char *path, int flags, ...) {        \
        REAL(name, int (*)(int, const char *, int, ...));           \
        va_list more;                                               \
        va_start(more, flags);                                      \
        mode_t mode = mode_of(flags, more);                         \
        va_end(more);                                               \
        return track(real_##name(folder, path, flags, mode), path); \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int file) {
    REAL(close, int (*)(int));
    if (file >= 0 && file < MAX_DESCRIPTORS) tracked[file] = 0;
    return real_close(file);
}

/* ---- The disk ---- */

/* 0, or the error that a write or growth of this descriptor shall end with. */
static int refusal_of_write(int file) {
    if (!is_tracked(file)) return 0;
    switch (control->disk_mode) {
        case ENOSPC_MODE: control->injected++; return ENOSPC;
        case EIO_MODE: control->injected++; return EIO;
        case READONLY_MODE: control->injected++; return EROFS;
        default: return 0;
    }
}

static ssize_t counted(int file, ssize_t written) {
    if (is_tracked(file)) {
        control->writes++;
        if (written > 0) control->bytes += (uint64_t)written;
    }
    return written;
}

#define WRITE(name, parameters, arguments)                          \
    ssize_t name parameters {                                       \
        REAL(name, ssize_t (*) parameters);                         \
        int refusal = refusal_of_write(file);                       \
        if (!refusal) return counted(file, real_##name arguments);  \
        counted(file, -1);                                          \
        errno = refusal;                                            \
        return -1;                                                  \
    }
WRITE(write, (int file, const void *bytes, size_t count), (file, bytes, count))
WRITE(pwrite, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at))
WRITE(pwrite64, (int file, const void *bytes, size_t count, off64_t at), (file, bytes, count, at))
WRITE(writev, (int file, const struct iovec *parts, int count), (file, parts, count))
WRITE(pwritev, (int file, const struct iovec *parts, int count, off_t at), (file, parts, count, at))

/* Making a file shorter needs no space: only growth is refused, unless the disk takes no writes at all. */
static int refusal_of_size(int file, int64_t size) {
    struct stat now;
    if (!is_tracked(file)) return 0;
    if (control->disk_mode == ENOSPC_MODE && fstat(file, &now) == 0 && size <= now.st_size) return 0;
    return refusal_of_write(file);
}

#define TRUNCATE(name, offset)                                      \
    int name(int file, offset size) {                               \
        REAL(name, int (*)(int, offset));                           \
        int refusal = refusal_of_size(file, size);                  \
        if (!refusal) return real_##name(file, size);               \
        errno = refusal;                                            \
        return -1;                                                  \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define FALLOCATE(name, offset)                                     \
    int name(int file, int mode, offset from, offset count) {       \
        REAL(name, int (*)(int, int, offset, offset));              \
        int refusal = refusal_of_write(file);                       \
        if (!refusal) return real_##name(file, mode, from, count);  \
        errno = refusal;                                            \
        return -1;                                                  \
    }
FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

#define POSIX_FALLOCATE(name, offset)                               \
    int name(int file, offset from, offset count) {                 \
        REAL(name, int (*)(int, offset, offset));                   \
        int refusal = refusal_of_write(file);                       \
        return refusal ? refusal : real_##name(file, from, count);  \
    }
POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)

#define SYNC(name)                                                  \
    int name(int file) {                                            \
        REAL(name, int (*)(int));                                   \
        if (!is_tracked(file)) return real_##name(file);            \
        control->syncs++;                                           \
        int refused = control->disk_mode == EIO_MODE || control->disk_mode == EIO_SYNC_MODE; \
        if (!refused) return real_##name(file);                     \
        control->injected++;                                        \
        errno = EIO;                                                \
        return -1;                                                  \
    }
SYNC(fsync)
SYNC(fdatasync)

/* ---- The clock ---- */

static void shift(struct timespec *at, int64_t microseconds) {
    int64_t ns = (int64_t)at->tv_nsec + microseconds % 1000000 * 1000;
    at->tv_sec += microseconds / 1000000;
    at->tv_sec += ns >= 1000000000 ? 1 : ns < 0 ? -1 : 0;
    at->tv_nsec = (long)(ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime, int (*)(clockid_t, struct timespec *));
    int result = real_clock_gettime(clock, now);
    int64_t offset = control->clock_offset_us;
    if (result == 0 && offset != 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        shift(now, offset);
        control->clock_reads++;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    if (zone) memset(zone, 0, sizeof(struct timezone));
    clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *result) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (result) *result = exact.tv_sec;
    return exact.tv_sec;
}

/* A deadline in real time as the kernel sees it. A clock that counts from the machine's start never gets this far. */
static struct timespec kernels(const struct timespec *deadline) {
    struct timespec at = *deadline;
    if (at.tv_sec > 1000000000) shift(&at, -control->clock_offset_us);
    return at;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline) {
    REAL(sem_timedwait, int (*)(sem_t *, const struct timespec *));
    struct timespec at = kernels(deadline);
    return real_sem_timedwait(semaphore, &at);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    /* Two versions of it exist on x86-64: the newer one is meant. */
    if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec at = kernels(deadline);
    return real(condition, mutex, &at);
}

int timerfd_settime(int file, int flags, const struct itimerspec *value, struct itimerspec *old) {
    REAL(timerfd_settime, int (*)(int, int, const struct itimerspec *, struct itimerspec *));
    struct itimerspec at = *value;
    if (flags & TFD_TIMER_ABSTIME) at.it_value = kernels(&value->it_value);
    return real_timerfd_settime(file, flags, &at, old);
}
