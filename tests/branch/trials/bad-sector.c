/* A disk on which one place of one file cannot be read: preloaded by sector.rs into the daemon. The file is BAD_INODE, the
   place BAD_FROM to BAD_TO, in bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int is_bad(int file, off_t at, size_t bytes) {
    const char *inode = getenv("BAD_INODE"), *from = getenv("BAD_FROM"), *to = getenv("BAD_TO");
    struct stat found;
    if (!inode || !from || !to || at < 0 || fstat(file, &found) != 0 || !S_ISREG(found.st_mode)) return 0;
    return found.st_ino == strtoull(inode, 0, 10) && at < atoll(to) && at + (off_t)bytes > atoll(from);
}

#define FAIL do { errno = EIO; return -1; } while (0)

ssize_t read(int file, void *into, size_t bytes) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "read");
    if (is_bad(file, lseek(file, 0, SEEK_CUR), bytes)) FAIL;
    return real(file, into, bytes);
}

ssize_t pread(int file, void *into, size_t bytes, off_t at) {
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread");
    if (is_bad(file, at, bytes)) FAIL;
    return real(file, into, bytes, at);
}

ssize_t pread64(int file, void *into, size_t bytes, off64_t at) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    if (is_bad(file, at, bytes)) FAIL;
    return real(file, into, bytes, at);
}
