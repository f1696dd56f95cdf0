/* The native floor: one thread, epoll, a fixed answer a request head. What is left is the kernel's share.
 * usage: floor PORT. Reads no body, parses nothing but the end of a head, so only GET /hello and /seed are fair. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_MAX = 65536, PIPELINED_MAX = 64, EVENTS_MAX = 256 };

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
enum { ANSWER_BYTES = sizeof ANSWER - 1 };

/* How much of CR LF CR LF the connection has sent so far: a head may be cut between two reads. */
static unsigned char matched[FDS_MAX];
static char answers[PIPELINED_MAX * ANSWER_BYTES];

static int heads_ended(int fd, const char *bytes, ssize_t count) {
    int ended = 0;
    for (ssize_t i = 0; i < count; i++) {
        if (matched[fd] == 0) {
            const char *next = memchr(bytes + i, '\r', (size_t)(count - i));
            if (!next) break;
            i = next - bytes;
        }
        char wanted = matched[fd] % 2 == 0 ? '\r' : '\n';
        if (bytes[i] == wanted)
            matched[fd]++;
        else
            matched[fd] = bytes[i] == '\r';
        if (matched[fd] == 4) {
            ended++;
            matched[fd] = 0;
        }
    }
    return ended;
}

static void accept_all(int listener, int poller) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= FDS_MAX) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        matched[fd] = 0;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static void serve(int fd) {
    static char bytes[65536];
    ssize_t count = read(fd, bytes, sizeof bytes);
    if (count <= 0) {
        close(fd);
        return;
    }
    for (int left = heads_ended(fd, bytes, count); left > 0; left -= PIPELINED_MAX) {
        size_t size = (size_t)(left < PIPELINED_MAX ? left : PIPELINED_MAX) * ANSWER_BYTES;
        if (write(fd, answers, size) != (ssize_t)size) {
            close(fd);
            return;
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    for (int i = 0; i < PIPELINED_MAX; i++) memcpy(answers + i * ANSWER_BYTES, ANSWER, ANSWER_BYTES);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) {
        perror("floor");
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS_MAX];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener, poller);
            else
                serve(events[i].data.fd);
        }
    }
}
