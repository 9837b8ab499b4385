/*
 * The least that a SOCKS5 proxy can do that gets its streams from a SAM bridge: no checks, no names, no isolation, one target
 * whatever is asked for, a thread for each client. What it needs, no proxy of a process of its own can go below.
 *
 * bare-proxy SAM_ADDRESS SAM_PORT OWN_ADDRESS OWN_PORT TARGET PRIVATE_KEY OPTIONS
 *
 * Says "ready" when its session stands, and ends with SIGTERM.
 */
#include <poll.h>
#include <pthread.h>

#include "socket.h"

#define BUFFER_LENGTH (256 * 1024)
#define LINE_LENGTH 16384

static struct sockaddr_in bridge;
static const char *target;

static struct sockaddr_in address_of(const char *host, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) fail(host);
  return address;
}

/* All of it, or nothing. */
static int put(int fd, const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t count = send(fd, at, length, MSG_NOSIGNAL);
    if (count <= 0) return 0;
    at += count;
    length -= (size_t)count;
  }
  return 1;
}

static int take(int fd, void *bytes, size_t length) {
  return recv(fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

/* A byte at a time: what follows the line belongs to somebody else. */
static int ask(int fd, const char *command) {
  char line[LINE_LENGTH];
  size_t length = 0;
  if (!put(fd, command, strlen(command))) return 0;
  while (length < sizeof line - 1 && recv(fd, line + length, 1, 0) == 1) {
    if (line[length++] == '\n') {
      line[length] = 0;
      return strstr(line, "RESULT=OK") != NULL;
    }
  }
  return 0;
}

static int greet(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  no_delay(fd);
  if (connect(fd, (struct sockaddr *)&bridge, sizeof bridge) == 0 && ask(fd, "HELLO VERSION MIN=3.1 MAX=3.1\n")) return fd;
  close(fd);
  return -1;
}

static int shake_hands(int client) {
  unsigned char head[5], rest[255 + 2];
  if (!take(client, head, 2) || !take(client, rest, head[1]) || !put(client, "\5\0", 2)) return 0;
  return take(client, head, 5) && head[3] == 3 && take(client, rest, head[4] + 2u);
}

/* @returns whether there may be more */
static int pass(int from, int to, char *buffer) {
  ssize_t count = recv(from, buffer, BUFFER_LENGTH, 0);
  return count > 0 && put(to, buffer, (size_t)count);
}

static void relay(int client, int stream) {
  char *buffer = malloc(BUFFER_LENGTH);
  struct pollfd ends[2] = {{.fd = client, .events = POLLIN}, {.fd = stream, .events = POLLIN}};
  while (buffer != NULL && poll(ends, 2, -1) > 0) {
    if (ends[0].revents && !pass(client, stream, buffer)) break;
    if (ends[1].revents && !pass(stream, client, buffer)) break;
  }
  free(buffer);
}

static void *serve(void *argument) {
  int client = (int)(long)argument, stream = -1;
  char command[LINE_LENGTH];
  no_delay(client);
  snprintf(command, sizeof command, "STREAM CONNECT ID=bare DESTINATION=%s SILENT=false\n", target);
  if (shake_hands(client) && (stream = greet()) >= 0 && ask(stream, command) && put(client, "\5\0\0\1\0\0\0\0\0\0", 10))
    relay(client, stream);
  if (stream >= 0) close(stream);
  close(client);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 8) return 64;
  bridge = address_of(argv[1], argv[2]);
  target = argv[5];
  char command[LINE_LENGTH];
  snprintf(command, sizeof command, "SESSION CREATE STYLE=STREAM ID=bare DESTINATION=%s %s\n", argv[6], argv[7]);
  int control = greet();
  if (control < 0 || !ask(control, command)) fail("the SAM session");
  struct sockaddr_in own = address_of(argv[3], argv[4]);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0 || listen(listener, BACKLOG) < 0) fail("listen");
  puts("ready");
  fflush(stdout);
  for (;;) {
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    pthread_t thread;
    if (client < 0) fail("accept");
    if (pthread_create(&thread, NULL, serve, (void *)(long)client) != 0) fail("a thread");
    pthread_detach(thread);
  }
}
