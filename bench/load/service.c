/*
 * What stands behind the relays in a measurement: a bare SAM bridge and a plain TCP service, in one process that does
 * nothing but move bytes, so that it is never what limits. The bridge knows one session and says OK to everything; a
 * stream through it, and every plain connection, does what its first byte asks for:
 *
 *   d  sends for as long as somebody takes it       u  takes and throws away
 *   q  answers one byte and closes                  h  answers one byte and stays
 *
 * service SECONDS     prints "plain PORT" and "sam PORT"; ends with its standard input, or after that time
 */
#include "socket.h"

#define LINE_LENGTH 8192

enum state { SPEAKING, WAITING, SENDING, TAKING, STAYING };

struct connection {
  int fd;
  enum state state;
  size_t length;
  char *line;
};

static char bytes[SEND_LENGTH];
static int queue;

static void end(struct connection *connection) {
  close(connection->fd);
  free(connection->line);
  free(connection);
}

static void say(struct connection *connection, const char *text, size_t length) {
  /* A few bytes on a connection that has carried nothing yet: the kernel always takes them. */
  if (send(connection->fd, text, length, MSG_NOSIGNAL) < 0) return;
}

/* One SAM line, without its newline. */
static void answer(struct connection *connection, const char *line) {
  char reply[LINE_LENGTH + 64];
  const char *text = "I2P ERROR\n";
  if (strncmp(line, "HELLO ", 6) == 0) {
    /* As i2pd 2.45.1: a version without PING, so that the measured program keeps its timers to itself. */
    text = "HELLO REPLY RESULT=OK VERSION=3.1\n";
  } else if (strncmp(line, "SESSION CREATE ", 15) == 0) {
    const char *keys = strstr(line, " DESTINATION=");
    int length = keys == NULL ? 0 : (int)strcspn(keys + 13, " ");
    snprintf(reply, sizeof reply, "SESSION STATUS RESULT=OK DESTINATION=%.*s\n", length, keys == NULL ? "" : keys + 13);
    text = reply;
  } else if (strncmp(line, "STREAM CONNECT ", 15) == 0) {
    connection->state = WAITING;
    text = "STREAM STATUS RESULT=OK\n";
  } else if (strncmp(line, "STREAM ACCEPT ", 14) == 0) {
    connection->state = STAYING;
    text = "STREAM STATUS RESULT=OK\n";
  }
  say(connection, text, strlen(text));
  if (connection->state == SPEAKING) return;
  free(connection->line);
  connection->line = NULL;
}

/* Returns 0 when the connection is over, as all of these do. */
static int hear_line(struct connection *connection) {
  ssize_t got = recv(connection->fd, connection->line + connection->length, LINE_LENGTH - 1 - connection->length, 0);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  connection->length += (size_t)got;
  connection->line[connection->length] = 0;
  char *newline = strchr(connection->line, '\n');
  if (newline == NULL) return connection->length < LINE_LENGTH - 1;
  *newline = 0;
  connection->length = 0;
  answer(connection, connection->line);
  return 1;
}

static int hear_wish(struct connection *connection) {
  char wish;
  ssize_t got = recv(connection->fd, &wish, 1, 0);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  switch (wish) {
    case 'd':
      connection->state = SENDING;
      watch(queue, EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
      return 1;
    case 'u':
      connection->state = TAKING;
      return 1;
    case 'h':
      connection->state = STAYING;
      say(connection, &wish, 1);
      return 1;
    case 'q':
      say(connection, &wish, 1);
      return 0;
    default:
      return 0;
  }
}

static int serve(struct connection *connection) {
  switch (connection->state) {
    case SPEAKING:
      return hear_line(connection);
    case WAITING:
      return hear_wish(connection);
    case SENDING: {
      ssize_t sent = send(connection->fd, bytes, sizeof bytes, MSG_NOSIGNAL);
      return sent > 0 || errno == EAGAIN;
    }
    default: {
      /* Thrown away inside the kernel: the fastest reader that there can be. */
      ssize_t got = recv(connection->fd, NULL, SEND_LENGTH, MSG_TRUNC);
      return got > 0 || (got < 0 && errno == EAGAIN);
    }
  }
}

static void take(int listener, enum state state) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  no_delay(fd);
  struct connection *connection = calloc(1, sizeof *connection);
  connection->fd = fd;
  connection->state = state;
  if (state == SPEAKING) connection->line = malloc(LINE_LENGTH);
  watch(queue, EPOLL_CTL_ADD, fd, EPOLLIN, connection);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  alarm((unsigned)atoi(arguments[1]));
  queue = epoll_create1(EPOLL_CLOEXEC);
  int plain_port, sam_port;
  int plain = listen_on_loopback(&plain_port), sam = listen_on_loopback(&sam_port);
  watch(queue, EPOLL_CTL_ADD, plain, EPOLLIN, &plain);
  watch(queue, EPOLL_CTL_ADD, sam, EPOLLIN, &sam);
  watch(queue, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);
  printf("plain %d\nsam %d\n", plain_port, sam_port);
  fflush(stdout);
  for (;;) {
    struct epoll_event events[256];
    int ready = epoll_wait(queue, events, 256, -1);
    for (int i = 0; i < ready; i++) {
      void *what = events[i].data.ptr;
      if (what == NULL) return 0;
      if (what == &plain) take(plain, WAITING);
      else if (what == &sam) take(sam, SPEAKING);
      else if (!serve(what)) end(what);
    }
  }
}
