/* A client that costs far less than the server it measures: one thread, epoll, bytes made beforehand.

   client HOST PORT FILE CONNECTIONS SECONDS WARM RATE LOOP

   FILE holds chains: u32 how many; each: u32 calls; each call: u32 length, bytes of a whole HTTP/1.1 request. Where a
   call holds 36 '#', the first "id" of the answer before it is put. A chain that gets no 2xx is given up.
   RATE 0: every connection asks again as soon as it is answered (closed loop). Else so many chains a second are due,
   and a chain's time runs from when it was due, whoever was busy then (open loop). LOOP 1: begin again at the end.
   What ends before WARM seconds are over is counted, but not measured. Prints one line of JSON. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CALLS = 4, ID = 36, ROOM = 1 << 20, PATIENCE_S = 30 };

struct call { const char *bytes; uint32_t length; int hole; };
struct chain { uint32_t calls; struct call call[MOST_CALLS]; };
struct conn { int fd; char *in; size_t got; char *out; size_t left, sent; struct chain *chain; uint32_t at; double since; };

static struct chain *chains;
static uint32_t number, next_chain;
static int loops, epoll_fd;
static struct sockaddr_in server;
static double begun, warm_until, until, last_done;
static uint64_t done, measured, answered, refused, lost, statuses[600];
static uint32_t *times_us;
static size_t times, times_room;
static char sample[400];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) { perror(what); exit(1); }

static void read_chains(const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat is;
    if (fd < 0 || fstat(fd, &is)) die(path);
    const char *p = mmap(NULL, is.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED) die("mmap");
    memcpy(&number, p, 4); p += 4;
    chains = calloc(number ? number : 1, sizeof *chains);
    for (uint32_t n = 0; n < number; n++) {
        memcpy(&chains[n].calls, p, 4); p += 4;
        if (chains[n].calls > MOST_CALLS) { fputs("too many calls in a chain\n", stderr); exit(1); }
        for (uint32_t k = 0; k < chains[n].calls; k++) {
            struct call *c = &chains[n].call[k];
            memcpy(&c->length, p, 4); p += 4;
            c->bytes = p; p += c->length;
            const char *hole = memmem(c->bytes, c->length, "####################################", ID);
            c->hole = hole ? (int)(hole - c->bytes) : -1;
        }
    }
}

static void connect_to(struct conn *c) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof server)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e)) die("epoll_ctl");
}

static void watch(struct conn *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void push(struct conn *c) {
    while (c->left) {
        ssize_t n = send(c->fd, c->out + c->sent, c->left, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return watch(c, EPOLLIN | EPOLLOUT);
        if (n < 0) return; /* The reading end says so. */
        c->sent += n; c->left -= n;
    }
}

static void call(struct conn *c, const char *id) {
    struct call *k = &c->chain->call[c->at];
    memcpy(c->out, k->bytes, k->length);
    if (k->hole >= 0 && id) memcpy(c->out + k->hole, id, ID);
    c->got = c->sent = 0; c->left = k->length;
    push(c);
}

static int start(struct conn *c, double since) {
    if (next_chain == number && loops) next_chain = 0;
    if (next_chain == number) return 0;
    c->chain = &chains[next_chain++]; c->at = 0; c->since = since;
    call(c, NULL);
    return 1;
}

static void note_time(double at, double since) {
    done++; last_done = at;
    if (at < warm_until || at > until) return;
    measured++;
    if (times == times_room) times_us = realloc(times_us, (times_room = times_room ? times_room * 2 : 65536) * 4);
    times_us[times++] = (uint32_t)((at - since) * 1e6);
}

/* 1: the chain is over. 0: it goes on. */
static int answer(struct conn *c, int status, const char *body, size_t length, double at) {
    answered++;
    statuses[status < 600 ? status : 599]++;
    if (status < 200 || status > 299) {
        refused++;
        if (!*sample) snprintf(sample, sizeof sample, "%.*s", (int)length, body);
        return 1;
    }
    if (++c->at == c->chain->calls) return note_time(at, c->since), 1;
    const char *id = memmem(body, length, "\"id\":\"", 6);
    if (c->chain->call[c->at].hole >= 0 && (!id || id + 6 + ID > body + length)) {
        refused++;
        if (!*sample) snprintf(sample, sizeof sample, "no id in %.*s", (int)length, body);
        return 1;
    }
    char kept[ID];
    if (id) memcpy(kept, id + 6, ID);
    call(c, id ? kept : NULL);
    return 0;
}

/* 1: a whole answer ended the chain. 0: wait for more. -1: the connection is gone. */
static int take(struct conn *c, double at) {
    ssize_t n = recv(c->fd, c->in + c->got, ROOM - c->got - 1, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) return -1;
    c->got += n; c->in[c->got] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end) return 0;
    char *size = strcasestr(c->in, "\r\ncontent-length:");
    size_t length = size && size < end ? strtoul(size + 17, NULL, 10) : 0, whole = end + 4 - c->in + length;
    if (c->got < whole) return 0;
    return answer(c, atoi(c->in + 9), end + 4, length, at);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile(double p) { return times ? times_us[(size_t)(p * (times - 1))] / 1000.0 : 0; }

static void report(double cpu_s) {
    double end = last_done < until ? last_done : until, span = end - warm_until;
    double sum = 0;
    qsort(times_us, times, 4, by_size);
    for (size_t n = 0; n < times; n++) sum += times_us[n];
    printf("{\"done\":%lu,\"measured\":%lu,\"answered\":%lu,\"refused\":%lu,\"lost\":%lu,\"seconds\":%.4f,", done, measured,
           answered, refused, lost, span > 0 ? span : 0);
    printf("\"mean_ms\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"client_cpu_s\":%.4f,\"statuses\":{",
           times ? sum / times / 1000 : 0, percentile(.5), percentile(.99), percentile(1), cpu_s);
    for (int n = 0, some = 0; n < 600; n++)
        if (statuses[n]) printf("%s\"%d\":%lu", some++ ? "," : "", n, statuses[n]);
    printf("},\"sample\":\"");
    for (char *p = sample; *p; p++) {
        if (*p == '"' || *p == '\\') putchar('\\');
        putchar((unsigned char)*p < 32 ? ' ' : *p);
    }
    puts("\"}");
}

int main(int argc, char **argv) {
    if (argc != 9) { fputs("client HOST PORT FILE CONNECTIONS SECONDS WARM RATE LOOP\n", stderr); return 2; }
    read_chains(argv[3]);
    int many = atoi(argv[4]), in_flight = 0;
    double seconds = atof(argv[5]), warm = atof(argv[6]), rate = atof(argv[7]);
    loops = atoi(argv[8]);
    server.sin_family = AF_INET; server.sin_port = htons(atoi(argv[2]));
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) die(argv[1]);
    epoll_fd = epoll_create1(0);
    struct conn *conns = calloc(many, sizeof *conns), **idle = calloc(many, sizeof *idle);
    int idling = 0, timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    for (int n = 0; n < many; n++) {
        conns[n].in = malloc(ROOM); conns[n].out = malloc(65536);
        connect_to(&conns[n]);
        idle[idling++] = &conns[n];
    }
    begun = now(); warm_until = begun + warm; until = warm_until + seconds; last_done = warm_until;
    double due = begun;
    if (rate > 0) {
        struct itimerspec every = {{0, 200000}, {0, 1}};
        timerfd_settime(timer, 0, &every, NULL);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &e);
    }
    int over = 0;
    for (;;) {
        double at = now();
        over = over || at >= until;
        while (!over && idling && (rate <= 0 || due <= at)) {
            struct conn *c = idle[--idling];
            if (!start(c, rate > 0 ? due : at)) { idle[idling++] = c; over = 1; break; }
            in_flight++; due += rate > 0 ? 1 / rate : 0;
        }
        if (over && (!in_flight || at > until + PATIENCE_S)) break;
        struct epoll_event found[256];
        int n = epoll_wait(epoll_fd, found, 256, over ? 100 : -1);
        at = now();
        for (int k = 0; k < n; k++) {
            struct conn *c = found[k].data.ptr;
            if (!c) { uint64_t ticks; if (read(timer, &ticks, 8) < 0 && errno != EAGAIN) die("timer"); continue; }
            if (found[k].events & EPOLLOUT) { watch(c, EPOLLIN); push(c); }
            if (!(found[k].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
            int ended = take(c, at);
            if (ended < 0) { lost += c->chain != NULL; close(c->fd); connect_to(c); }
            if (ended && c->chain) { c->chain = NULL; in_flight--; idle[idling++] = c; }
        }
    }
    lost += in_flight;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    report(used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
