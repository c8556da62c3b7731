/*
 * The benchmarks' callers: one thread, epoll, a request in flight per connection.
 * Usage: load PORT PATH CONNECTIONS REQUESTS MAX_MS STREAM(0|1) HEADER BODY…
 * Sends REQUESTS in all, the bodies in turn (or stops after MAX_MS) and prints one JSON line: latencies in µs; the values
 * of a numeric response HEADER; for streams the time to the first event, and the delay of each event
 * (its text is the time at which the upstream wrote it).
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

enum { BUFFER = 65536, MAX_SAMPLES = 4000000 };

typedef struct {
  int fd, busy, first;
  char in[BUFFER];
  size_t length, scanned;
  uint64_t sent_ns;
} Connection;

typedef struct {
  uint32_t *values;
  size_t count;
} Samples;

static Samples latency, header_values, first_event, delay;
static const char *header_name;
static char **requests;
static size_t *request_lengths;
static int request_count, next_request;
static int streaming, bad_status;
static long errors, completed;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void add(Samples *s, double value) {
  if (!s->values) s->values = malloc(MAX_SAMPLES * sizeof *s->values);
  if (s->count < MAX_SAMPLES) s->values[s->count++] = value < 0 ? 0 : (uint32_t)value;
}

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static void print_samples(const char *name, Samples *s) {
  if (s->count) qsort(s->values, s->count, sizeof *s->values, ascending);
#define AT(q) (s->count ? s->values[(size_t)((double)(s->count - 1) * (q))] : 0)
  printf(",\"%s\":{\"count\":%zu,\"p50\":%u,\"p99\":%u,\"max\":%u}", name, s->count, AT(0.5),
         AT(0.99), AT(1.0));
}

static void send_request(Connection *c) {
  c->busy = 1;
  c->first = 0;
  c->length = c->scanned = 0;
  c->sent_ns = now_ns();
  const char *request = requests[next_request];
  size_t request_length = request_lengths[next_request], sent = 0;
  next_request = (next_request + 1) % request_count;
  while (sent < request_length) {
    ssize_t n = write(c->fd, request + sent, request_length - sent);
    if (n < 0 && errno == EAGAIN) {
      usleep(20);
      continue;
    }
    if (n <= 0) return;
    sent += (size_t)n;
  }
}

/* Reads the events that have come since the last look. */
static void scan_events(Connection *c) {
  static const char mark[] = "\"content\":\"";
  for (;;) {
    char *at = strstr(c->in + c->scanned, mark);
    if (!at || at + sizeof mark - 1 + 20 > c->in + c->length) return;
    char *text = at + sizeof mark - 1;
    c->scanned = (size_t)(text + 20 - c->in);
    if (text[0] < '0' || text[0] > '9') continue;
    uint64_t now = now_ns(), written = strtoull(text, NULL, 10);
    add(&delay, (double)(now - written) / 1000);
    if (!c->first) add(&first_event, (double)(now - c->sent_ns) / 1000);
    c->first = 1;
  }
}

/* Whether the reply is whole. */
static int whole(Connection *c) {
  char *end = strstr(c->in, "\r\n\r\n");
  if (!end) return 0;
  char *field = strcasestr(c->in, "content-length:");
  if (field && field < end) {
    return c->length >= (size_t)(end - c->in) + 4 + (size_t)atol(field + 15);
  }
  return c->length >= 7 && memcmp(c->in + c->length - 7, "\r\n0\r\n\r\n", 7) == 0;
}

static void finish(Connection *c) {
  add(&latency, (double)(now_ns() - c->sent_ns) / 1000);
  completed++;
  c->busy = 0;
  int status = atoi(c->in + 9);
  if (status != 200 || (streaming && !strstr(c->in, "[DONE]"))) {
    errors++;
    bad_status = status;
  }
  char *end = strstr(c->in, "\r\n\r\n");
  char *field = header_name[0] ? strcasestr(c->in, header_name) : NULL;
  if (field && field < end) add(&header_values, atof(field + strlen(header_name) + 1));
}

int main(int argc, char **argv) {
  if (argc < 9) return 2;
  int port = atoi(argv[1]), connection_count = atoi(argv[3]);
  long wanted = atol(argv[4]), started = 0;
  uint64_t limit_ns = (uint64_t)atol(argv[5]) * 1000000ull;
  streaming = atoi(argv[6]);
  header_name = argv[7];
  request_count = argc - 8;
  requests = calloc((size_t)request_count, sizeof *requests);
  request_lengths = calloc((size_t)request_count, sizeof *request_lengths);
  // Header lines beside these, each with its end.
  const char *lines = getenv("LOAD_LINES");
  if (!lines) lines = "";
  for (int i = 0; i < request_count; i++) {
    request_lengths[i] = (size_t)asprintf(
        &requests[i],
        "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer sk-bench\r\n"
        "content-type: application/json\r\ncontent-length: %zu\r\n%s\r\n%s",
        argv[2], port, strlen(argv[8 + i]), lines, argv[8 + i]);
  }
  Connection *all = calloc((size_t)connection_count, sizeof *all);
  int poll = epoll_create1(0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int i = 0; i < connection_count; i++) {
    all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(all[i].fd, (void *)&address, sizeof address)) return 1;
    setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
    epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
  }
  uint64_t start = now_ns();
  int busy = 0;
  for (int i = 0; i < connection_count && started < wanted; i++, started++, busy++) {
    send_request(&all[i]);
  }
  struct epoll_event events[256];
  while (busy > 0 && now_ns() - start < limit_ns + 30000000000ull) {
    int n = epoll_wait(poll, events, 256, 1000);
    for (int i = 0; i < n; i++) {
      Connection *c = events[i].data.ptr;
      ssize_t got = read(c->fd, c->in + c->length, BUFFER - 1 - c->length);
      if (got <= 0) {
        if (c->busy) {
          errors++;
          busy--;
        }
        epoll_ctl(poll, EPOLL_CTL_DEL, c->fd, NULL);
        continue;
      }
      if (!c->busy) continue;
      c->length += (size_t)got;
      c->in[c->length] = 0;
      if (streaming) scan_events(c);
      if (!whole(c)) continue;
      finish(c);
      if (started < wanted && now_ns() - start < limit_ns) {
        started++;
        send_request(c);
      } else {
        busy--;
      }
    }
  }
  printf("{\"completed\":%ld,\"errors\":%ld,\"lastBadStatus\":%d,\"seconds\":%.6f", completed,
         errors + busy, bad_status, (double)(now_ns() - start) / 1e9);
  print_samples("latencyUs", &latency);
  print_samples("header", &header_values);
  print_samples("firstEventUs", &first_event);
  print_samples("eventDelayUs", &delay);
  printf("}\n");
  return 0;
}
