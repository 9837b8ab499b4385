/*
 * Load on a SOCKS5 proxy, from one process that only moves bytes. Each connection asks the proxy for one target, tells
 * the service there (service.c) what to do with one byte, and does its part of it.
 *
 * load down|up PROXY HOST PORT CONNECTIONS SECONDS   prints "bytes N seconds S failed F"
 * load connect PROXY HOST PORT CONNECTIONS SECONDS   whole short connections, so many at a time;
 *                                                    prints "connections N seconds S failed F"
 * load hold    PROXY HOST PORT CONNECTIONS SECONDS   opens so many and keeps them: prints "connections N seconds S
 *                                                    failed F", ends with its standard input or after SECONDS
 *
 * PROXY is a port on loopback; 0 means no proxy: straight to PORT. HOST is an IPv4 address or a name.
 */
#include "socket.h"
#include <time.h>

/* How many connections of `hold` are being made at a time. */
#define OPENING_AT_ONCE 32
/* Nothing that a relay does takes this much longer than the load itself. */
#define GRACE_SECONDS 20

enum phase { CONNECTING, GREETED, ASKED, RUNNING };

struct connection {
  int fd;
  enum phase phase;
  size_t length;
  unsigned char reply[32];
};

static char bytes[SEND_LENGTH];
static unsigned char request[300];
static size_t request_length;
static int queue, first_port;
static char wish;
static long done_count, failed_count, byte_count;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void make_request(const char *host, int port) {
  struct in_addr address;
  unsigned char *at = request;
  memcpy(at, "\5\1\0", 3);
  at += 3;
  if (inet_pton(AF_INET, host, &address) == 1) {
    *at++ = 1;
    memcpy(at, &address, 4);
    at += 4;
  } else {
    size_t length = strlen(host);
    if (length > 255) exit(2);
    *at++ = 3;
    *at++ = (unsigned char)length;
    memcpy(at, host, length);
    at += length;
  }
  *at++ = (unsigned char)(port >> 8);
  *at++ = (unsigned char)port;
  request_length = (size_t)(at - request);
}

static void begin(void) {
  struct connection *connection = calloc(1, sizeof *connection);
  struct sockaddr_in address = loopback(first_port);
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection->fd < 0) fail("socket");
  no_delay(connection->fd);
  if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) fail("connect");
  watch(queue, EPOLL_CTL_ADD, connection->fd, EPOLLOUT, connection);
}

static void end(struct connection *connection) {
  close(connection->fd);
  free(connection);
}

static int say(struct connection *connection, const void *what, size_t length, enum phase next) {
  connection->phase = next;
  connection->length = 0;
  return send(connection->fd, what, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static int run(struct connection *connection) {
  if (wish == 'u') watch(queue, EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
  return say(connection, &wish, 1, RUNNING);
}

/* Length of the reply as far as it is known. */
static size_t awaited(const struct connection *connection) {
  if (connection->phase == GREETED) return 2;
  if (connection->length < 4) return 4;
  return connection->reply[3] == 4 ? 22 : 10;
}

/* Returns 0 on a failure. */
static int shake_hands(struct connection *connection, int is_direct) {
  if (connection->phase == CONNECTING) {
    watch(queue, EPOLL_CTL_MOD, connection->fd, EPOLLIN, connection);
    return is_direct ? run(connection) : say(connection, "\5\1\0", 3, GREETED);
  }
  while (connection->length < awaited(connection)) {
    size_t missing = awaited(connection) - connection->length;
    ssize_t got = recv(connection->fd, connection->reply + connection->length, missing, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    connection->length += (size_t)got;
  }
  if (connection->reply[1] != 0) return 0;
  return connection->phase == GREETED ? say(connection, request, request_length, ASKED) : run(connection);
}

enum outcome { GOES_ON, DONE, BROKEN };

static enum outcome carry(struct connection *connection) {
  if (wish == 'u') {
    ssize_t sent = send(connection->fd, bytes, sizeof bytes, MSG_NOSIGNAL);
    if (sent > 0) byte_count += sent;
    return sent > 0 || errno == EAGAIN ? GOES_ON : BROKEN;
  }
  /* Thrown away inside the kernel: the fastest reader that there can be. */
  ssize_t got = recv(connection->fd, NULL, SEND_LENGTH * 4, MSG_TRUNC);
  if (got < 0) return errno == EAGAIN ? GOES_ON : BROKEN;
  connection->length += (size_t)got;
  byte_count += got;
  if (wish == 'd') return got > 0 ? GOES_ON : BROKEN;
  if (wish == 'h') return got > 0 ? DONE : BROKEN;
  if (got > 0) return GOES_ON;
  return connection->length == 1 ? DONE : BROKEN;
}

static void report(const char *what, long count, double started) {
  printf("%s %ld seconds %.6f failed %ld\n", what, count, now() - started, failed_count);
  fflush(stdout);
}

int main(int count, char **arguments) {
  if (count != 7) return 2;
  const char *mode = arguments[1];
  int proxy = atoi(arguments[2]), port = atoi(arguments[4]), seconds = atoi(arguments[6]);
  long wanted = atol(arguments[5]);
  wish = strcmp(mode, "down") == 0 ? 'd' : strcmp(mode, "up") == 0 ? 'u' : strcmp(mode, "connect") == 0 ? 'q' : 'h';
  first_port = proxy == 0 ? port : proxy;
  make_request(arguments[3], port);
  alarm((unsigned)(seconds + GRACE_SECONDS));
  queue = epoll_create1(EPOLL_CLOEXEC);
  long at_once = wish == 'h' && wanted > OPENING_AT_ONCE ? OPENING_AT_ONCE : wanted;
  long begun = 0;
  for (; begun < at_once; begun++) begin();
  double started = now(), until = started + seconds;
  while (now() < until && !(wish == 'h' && done_count + failed_count >= wanted)) {
    struct epoll_event events[256];
    int ready = epoll_wait(queue, events, 256, 100);
    for (int i = 0; i < ready; i++) {
      struct connection *connection = events[i].data.ptr;
      enum outcome outcome;
      if (connection->phase == RUNNING) outcome = carry(connection);
      else outcome = shake_hands(connection, proxy == 0) ? GOES_ON : BROKEN;
      if (outcome == GOES_ON) continue;
      if (outcome == DONE) done_count++;
      else failed_count++;
      /* One that is held stays open until the process ends. */
      if (outcome == BROKEN || wish != 'h') end(connection);
      if (wish == 'q' || (wish == 'h' && begun < wanted)) {
        begin();
        begun++;
      }
    }
  }
  if (wish == 'd' || wish == 'u') report("bytes", byte_count, started);
  else report("connections", done_count, started);
  if (wish == 'h') while (read(STDIN_FILENO, bytes, 1) > 0) continue;
  return 0;
}
