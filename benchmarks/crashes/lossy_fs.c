/* Stands between a process and its files (LD_PRELOAD) once it is armed: writes down each change below one folder with
 * the points of sync, kills the process at a change or at a message to a server, or makes changes and syncs fail as a
 * full, read-only or broken disk does.
 *
 * What is written down is enough to build the folder as a power cut at any moment may have left it; `journal.py` does
 * that. Stores into mapped memory are not seen: of what Ragstone keeps, only SQLite's -shm file is written so, which
 * need not survive. Files named *-shm are left out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, RENAME, UNLINK, MKDIR, RMDIR, LINK, MARK, SYNC_FAILED };

struct record {
    uint32_t kind, first_length, second_length, padding;
    uint64_t inode;
    int64_t offset;
    uint64_t length;
};

static char root[PATH_MAX];
static size_t root_length;
static int journal = -1;
static long changes, syncs, kill_at, full_from, full_to, read_only_from, sync_fails_at;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

/* Armed for what lies below `folder`. Numbers count from 1 and mean never where they are 0: `die` is the change at which
 * the process is killed, changes from `from` to `to` find the disk full, from `read_only` on nothing can be changed until
 * it is armed anew, the sync number `fail` fails once. */
void lossy_arm(const char *folder, int journal_descriptor, long die, long from, long to, long read_only, long fail) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    journal = journal_descriptor;
    changes = syncs = 0;
    kill_at = die;
    full_from = from;
    full_to = to;
    read_only_from = read_only;
    sync_fails_at = fail;
}

long lossy_changes(void) { return changes; }
long lossy_syncs(void) { return syncs; }

static int below(const char *path) {
    size_t length = strlen(path);
    if (!root_length || strncmp(path, root, root_length) || (path[root_length] && path[root_length] != '/')) return 0;
    return length < 4 || strcmp(path + length - 4, "-shm");
}

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    char *deleted = strstr(path, " (deleted)");
    if (deleted && !deleted[10]) *deleted = 0;
    return below(path);
}

static int path_at(int folder, const char *name, char *path) {
    if (!root_length) return 0;
    if (name[0] == '/') {
        strncpy(path, name, PATH_MAX - 1);
        path[PATH_MAX - 1] = 0;
    } else {
        char base[PATH_MAX];
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return 0;
            base[length] = 0;
        }
        if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
    }
    return below(path);
}

static uint64_t inode_of(int descriptor) {
    struct stat found;
    return fstat(descriptor, &found) ? 0 : found.st_ino;
}

static void put(const void *data, size_t length) {
    while (length) {
        ssize_t written = REAL(write)(journal, data, length);
        if (written <= 0) _exit(97);
        data = (const char *)data + written;
        length -= written;
    }
}

static void note(enum kind kind, uint64_t inode, int64_t offset, const char *first, const char *second,
                 const void *data, size_t length) {
    if (journal < 0) return;
    struct record record = {kind, strlen(first), strlen(second), 0, inode, offset, length};
    put(&record, sizeof record);
    put(first, record.first_length);
    put(second, record.second_length);
    put(data, length);
}

/* A word of the process itself, in its place among the changes. */
void lossy_mark(const char *text) {
    pthread_mutex_lock(&lock);
    note(MARK, 0, 0, text, "", "", 0);
    pthread_mutex_unlock(&lock);
}

static int read_only(void) {
    if (!read_only_from || changes < read_only_from) return 0;
    errno = EROFS;
    return 1;
}

/* Counts what is about to be done, and kills the process at its number. */
static void counted(void) {
    if (++changes == kill_at) kill(getpid(), SIGKILL);
}

/* Counts a change that is about to be made; whether it must fail. */
static int forbidden(void) {
    counted();
    return read_only();
}

/* The same for one that takes room. Changes that free room succeed on a full disk. */
static int refused(void) {
    if (forbidden()) return 1;
    if (!full_from || changes < full_from || changes > full_to) return 0;
    errno = ENOSPC;
    return 1;
}

#define LOCKED pthread_mutex_lock(&lock)
#define RETURN(value) do { __typeof__(value) result_ = (value); int error_ = errno; pthread_mutex_unlock(&lock); errno = error_; return result_; } while (0)

/* Opening */

static int opened(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    if (!writes || (flags & O_TMPFILE) == O_TMPFILE || !path_at(folder, name, path))
        return REAL(openat)(folder, name, flags, mode);
    LOCKED;
    if (((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC)) && read_only()) RETURN(-1);
    int new = (flags & O_CREAT) && faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    if ((new || (flags & O_TRUNC)) && refused()) RETURN(-1);
    int descriptor = REAL(openat)(folder, name, flags, mode);
    if (descriptor >= 0 && new) note(CREATE, inode_of(descriptor), 0, path, "", "", 0);
    else if (descriptor >= 0 && (flags & O_TRUNC)) note(TRUNCATE, inode_of(descriptor), 0, "", "", "", 0);
    RETURN(descriptor);
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *name, int flags, ...) { MODE return opened(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE return opened(AT_FDCWD, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...);
int openat64(int folder, const char *name, int flags, ...) { MODE return opened(folder, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE return opened(folder, name, flags, mode); }
int __open_2(const char *name, int flags) { return opened(AT_FDCWD, name, flags, 0); }
int __open64_2(const char *name, int flags) { return opened(AT_FDCWD, name, flags, 0); }

/* Writing */

ssize_t write(int descriptor, const void *data, size_t length) {
    char path[PATH_MAX];
    if (descriptor == journal || !root_length || !path_of(descriptor, path)) return REAL(write)(descriptor, data, length);
    LOCKED;
    if (refused()) RETURN((ssize_t)-1);
    ssize_t written = REAL(write)(descriptor, data, length);
    if (written > 0) note(WRITE, inode_of(descriptor), lseek(descriptor, 0, SEEK_CUR) - written, "", "", data, written);
    RETURN(written);
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    char path[PATH_MAX];
    if (!root_length || !path_of(descriptor, path)) return REAL(pwrite64)(descriptor, data, length, offset);
    LOCKED;
    if (refused()) RETURN((ssize_t)-1);
    ssize_t written = REAL(pwrite64)(descriptor, data, length, offset);
    if (written > 0) note(WRITE, inode_of(descriptor), offset, "", "", data, written);
    RETURN(written);
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    return pwrite64(descriptor, data, length, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (!root_length || !path_of(descriptor, path)) return REAL(writev)(descriptor, parts, count);
    ssize_t all = 0;
    for (int part = 0; part < count; part++) {
        ssize_t written = write(descriptor, parts[part].iov_base, parts[part].iov_len);
        if (written < 0) return all ? all : -1;
        all += written;
        if ((size_t)written < parts[part].iov_len) break;
    }
    return all;
}

/* The C library's own calls from within fwrite are not seen, so what fwrite takes is put through at once. */
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    char path[PATH_MAX];
    if (!root_length || !path_of(fileno(file), path)) return REAL(fwrite)(data, size, count, file);
    LOCKED;
    if (refused()) RETURN((size_t)0);
    off_t before = ftello(file);
    size_t written = REAL(fwrite)(data, size, count, file);
    if (fflush(file)) RETURN((size_t)0);
    note(WRITE, inode_of(fileno(file)), before, "", "", data, written * size);
    RETURN(written);
}

static void note_copied(int target, off_t offset, ssize_t length) {
    char link[64], *data = malloc(length > 0 ? length : 1);
    snprintf(link, sizeof link, "/proc/self/fd/%d", target);
    int again = REAL(open)(link, O_RDONLY);
    if (length > 0 && again >= 0 && pread(again, data, length, offset) == length)
        note(WRITE, inode_of(target), offset, "", "", data, length);
    if (again >= 0) close(again);
    free(data);
}

ssize_t sendfile64(int target, int source, off64_t *offset, size_t length) {
    char path[PATH_MAX];
    if (!root_length || !path_of(target, path)) return REAL(sendfile64)(target, source, offset, length);
    LOCKED;
    if (refused()) RETURN((ssize_t)-1);
    ssize_t copied = REAL(sendfile64)(target, source, offset, length);
    if (copied > 0) note_copied(target, lseek(target, 0, SEEK_CUR) - copied, copied);
    RETURN(copied);
}

ssize_t sendfile(int target, int source, off_t *offset, size_t length) {
    return sendfile64(target, source, offset, length);
}

int ftruncate64(int descriptor, off64_t length) {
    char path[PATH_MAX];
    if (!root_length || !path_of(descriptor, path)) return REAL(ftruncate64)(descriptor, length);
    LOCKED;
    if (forbidden()) RETURN(-1);
    int result = REAL(ftruncate64)(descriptor, length);
    if (!result) note(TRUNCATE, inode_of(descriptor), length, "", "", "", 0);
    RETURN(result);
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

/* Syncing */

static int synced(int descriptor, int whole) {
    char path[PATH_MAX];
    struct stat found;
    if (!root_length || !path_of(descriptor, path))
        return whole ? REAL(fsync)(descriptor) : REAL(fdatasync)(descriptor);
    LOCKED;
    counted();
    if (++syncs == sync_fails_at) {
        note(SYNC_FAILED, inode_of(descriptor), 0, "", "", "", 0);
        errno = EIO;
        RETURN(-1);
    }
    /* Only what is written down counts as synced, so there is no need to wait for the real disk. */
    fstat(descriptor, &found);
    note(S_ISDIR(found.st_mode) ? SYNC_FOLDER : SYNC, found.st_ino, 0, path, "", "", 0);
    RETURN(0);
}

int fsync(int descriptor) { return synced(descriptor, 1); }
int fdatasync(int descriptor) { return synced(descriptor, 0); }

/* Messages to a server */

ssize_t send(int descriptor, const void *data, size_t length, int flags) {
    if (root_length) {
        LOCKED;
        counted();
        pthread_mutex_unlock(&lock);
    }
    return REAL(send)(descriptor, data, length, flags);
}

/* Names */

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
    char first[PATH_MAX], second[PATH_MAX];
    int tracked = path_at(from_folder, from, first) && path_at(to_folder, to, second);
    if (!tracked) return REAL(renameat2)(from_folder, from, to_folder, to, flags);
    LOCKED;
    if (forbidden()) RETURN(-1);
    int result = REAL(renameat2)(from_folder, from, to_folder, to, flags);
    if (!result) note(RENAME, 0, 0, first, second, "", 0);
    RETURN(result);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    if (!path_at(folder, name, path)) return REAL(unlinkat)(folder, name, flags);
    LOCKED;
    if (forbidden()) RETURN(-1);
    int result = REAL(unlinkat)(folder, name, flags);
    if (!result) note(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, path, "", "", 0);
    RETURN(result);
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int folder, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!path_at(folder, name, path)) return REAL(mkdirat)(folder, name, mode);
    LOCKED;
    if (refused()) RETURN(-1);
    int result = REAL(mkdirat)(folder, name, mode);
    if (!result) note(MKDIR, 0, 0, path, "", "", 0);
    RETURN(result);
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    char first[PATH_MAX], second[PATH_MAX];
    int tracked = path_at(from_folder, from, first) && path_at(to_folder, to, second);
    if (!tracked) return REAL(linkat)(from_folder, from, to_folder, to, flags);
    LOCKED;
    if (refused()) RETURN(-1);
    int result = REAL(linkat)(from_folder, from, to_folder, to, flags);
    if (!result) note(LINK, 0, 0, first, second, "", 0);
    RETURN(result);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
