/* Makes fdatasync take a millisecond longer, as on a cloud's disk: preloaded into PostgreSQL by slowdisk.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int fdatasync(int fd) {
    static int (*real)(int);
    struct timespec longer = {0, 1000000};
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    nanosleep(&longer, 0);
    return real(fd);
}
