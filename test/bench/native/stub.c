/*
 * The benchmarks' upstream: one thread, epoll, HTTP/1.1 with keep-alive. A body that asks for a
 * stream gets `chunks` SSE events, `gap_us` apart, each with the monotonic time of its writing in
 * nanoseconds as its text; every other body gets one fixed completion of about 1 KB.
 * Usage: stub CHUNKS GAP_US   (prints its port)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 16384, BUFFER = 32768 };

typedef struct {
  char in[BUFFER];
  size_t length;
  int streaming;
  int sent;
  uint64_t next_ns;
} Connection;

static Connection *connections[MAX_FD];
static int active[MAX_FD];
static int active_count;
static int chunk_total;
static uint64_t gap_ns;
static char reply[4096];
static size_t reply_length;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void put(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, bytes, length);
    if (n < 0 && errno == EAGAIN) {
      usleep(50);
      continue;
    }
    if (n <= 0) return;
    bytes += n;
    length -= (size_t)n;
  }
}

static void put_event(int fd, const char *json) {
  char out[1024];
  int length = snprintf(out, sizeof out, "%zx\r\ndata: %s\n\n\r\n", strlen(json) + 8, json);
  put(fd, out, (size_t)length);
}

static void put_chunk(int fd, int last) {
  char json[512];
  if (last) {
    put_event(fd, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                  "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{},"
                  "\"finish_reason\":\"stop\"}]}");
    put_event(fd, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                  "\"model\":\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
                  "\"completion_tokens\":50,\"total_tokens\":59}}");
    put_event(fd, "[DONE]");
    put(fd, "0\r\n\r\n", 5);
    return;
  }
  snprintf(json, sizeof json,
           "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1,"
           "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%020llu\"},"
           "\"finish_reason\":null}]}",
           (unsigned long long)now_ns());
  put_event(fd, json);
}

static void drop(int fd) {
  Connection *c = connections[fd];
  if (c && c->streaming)
    for (int i = 0; i < active_count; i++)
      if (active[i] == fd) active[i--] = active[--active_count];
  free(c);
  connections[fd] = NULL;
  close(fd);
}

static void start_stream(int fd, Connection *c) {
  static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                             "transfer-encoding: chunked\r\n\r\n";
  put(fd, head, sizeof head - 1);
  put_chunk(fd, 0);
  c->streaming = 1;
  c->sent = 1;
  c->next_ns = now_ns() + gap_ns;
  active[active_count++] = fd;
}

/* Answers every whole request that has arrived. */
static void serve(int fd, Connection *c) {
  for (;;) {
    c->in[c->length] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end) return;
    size_t head = (size_t)(end - c->in) + 4;
    char *field = strcasestr(c->in, "content-length:");
    size_t body = field && field < end ? (size_t)atol(field + 15) : 0;
    if (c->length < head + body) return;
    char kept = c->in[head + body];
    c->in[head + body] = 0;
    int stream = strstr(c->in + head, "\"stream\":true") != NULL;
    c->in[head + body] = kept;
    memmove(c->in, c->in + head + body, c->length - head - body);
    c->length -= head + body;
    if (stream) {
      start_stream(fd, c);
      return;
    }
    put(fd, reply, reply_length);
  }
}

/* Sends what is due and says for how many ms nothing more is. */
static int pace(void) {
  uint64_t now = now_ns(), soonest = UINT64_MAX;
  for (int i = 0; i < active_count; i++) {
    int fd = active[i];
    Connection *c = connections[fd];
    if (c->next_ns <= now) {
      int last = c->sent >= chunk_total;
      put_chunk(fd, last);
      c->sent++;
      c->next_ns += gap_ns;
      if (last) {
        c->streaming = 0;
        active[i--] = active[--active_count];
        serve(fd, c);
        continue;
      }
    }
    if (c->next_ns < soonest) soonest = c->next_ns;
  }
  if (soonest == UINT64_MAX) return -1;
  now = now_ns();
  return soonest <= now ? 0 : (int)((soonest - now) / 1000000) + 1;
}

static void make_reply(void) {
  char text[800], json[2048];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  int length = snprintf(
      json, sizeof json,
      "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"bench\","
      "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
      "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":200,"
      "\"completion_tokens\":200,\"total_tokens\":400},\"system_fingerprint\":null}",
      text);
  reply_length = (size_t)snprintf(reply, sizeof reply,
                                  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                                  "content-length: %d\r\n\r\n%s",
                                  length, json);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  chunk_total = atoi(argv[1]);
  gap_ns = (uint64_t)atol(argv[2]) * 1000;
  make_reply();
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (void *)&address, size) || listen(listener, 4096)) return 1;
  getsockname(listener, (void *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  int poll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int n = epoll_wait(poll, events, 256, pace());
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int peer;
        while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          if (peer >= MAX_FD) {
            close(peer);
            continue;
          }
          setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          connections[peer] = calloc(1, sizeof(Connection));
          struct epoll_event added = {.events = EPOLLIN, .data.fd = peer};
          epoll_ctl(poll, EPOLL_CTL_ADD, peer, &added);
        }
        continue;
      }
      Connection *c = connections[fd];
      ssize_t got = read(fd, c->in + c->length, BUFFER - 1 - c->length);
      if (got <= 0) {
        if (got < 0 && errno == EAGAIN) continue;
        drop(fd);
        continue;
      }
      c->length += (size_t)got;
      if (!c->streaming) serve(fd, c);
    }
  }
}
