/*
 * The line between two gateways under measurement: it copies bytes between two network namespaces and nothing else. In each
 * of them it listens on loopback: as a SAM bridge, where what one side connects the other side accepts, and as a plain
 * port, where each connection is joined to the next one of the other side.
 *
 * line RATE DELAY NAMESPACE NAMESPACE     prints "ready"; ends with its standard input
 *
 * RATE: bytes per second and direction of each stream, 0 for as fast as it goes. DELAY: milliseconds one way.
 * NAMESPACE: a path such as /run/netns/a.
 */
#include "socket.h"
#include "way.h"

#include <fcntl.h>
#include <sched.h>

#define SAM_PORT 7656
#define PLAIN_PORT 7700
#define LINE_LENGTH 8192
/* A destination whose key has no padding of its own: 391 bytes, of which the last two are the kind of its key. */
#define DESTINATION_CHARACTERS 524

enum state { LISTENING, SPEAKING, STAYING, ACCEPTING, CONNECTING, JOINED };

struct end {
  int fd;
  int side;
  int port; /* of a listener */
  enum state state;
  char *line;
  size_t length;
  struct end *next;  /* in a queue of those who wait for the other side */
  struct end *other; /* joined to it */
  struct way way;    /* from here to there, once it is joined */
};

struct side {
  char destination[DESTINATION_CHARACTERS + 1];
  struct end *accepting;
  struct end *connecting;
  struct end *plain;
};

static int queue;
static struct side sides[2];
static struct end *joined; /* every stream, by one of its ends */

static void enter(const char *namespace) {
  int fd = open(namespace, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) fail(namespace);
  close(fd);
}

static void listen_on(int side, int port) {
  struct end *end = calloc(1, sizeof *end);
  struct sockaddr_in address = loopback(port);
  int on = 1;
  if (end == NULL) fail("calloc");
  end->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  end->side = side;
  end->port = port;
  setsockopt(end->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(end->fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(end->fd, BACKLOG) < 0) fail("listen");
  watch(queue, EPOLL_CTL_ADD, end->fd, EPOLLIN, end);
}

static void push(struct end **list, struct end *end) {
  while (*list != NULL) list = &(*list)->next;
  end->next = NULL;
  *list = end;
}

static struct end *shift(struct end **list) {
  struct end *end = *list;
  if (end != NULL) *list = end->next;
  return end;
}

static void forget(struct end **list, struct end *end) {
  for (; *list != NULL; list = &(*list)->next) {
    if (*list != end) continue;
    *list = end->next;
    return;
  }
}

static void say(struct end *end, const char *text) {
  /* A line on a connection that has carried little: the kernel always takes it. */
  if (send(end->fd, text, strlen(text), MSG_NOSIGNAL) < 0) return;
}

static void release(struct end *end) {
  if (end->state == JOINED) release_way(&end->way);
  close(end->fd);
  free(end->line);
  free(end);
}

static void finish(struct end *end) {
  struct end *other = end->other;
  if (other == NULL) {
    struct side *side = &sides[end->side];
    forget(&side->accepting, end);
    forget(&side->connecting, end);
    forget(&side->plain, end);
    release(end);
    return;
  }
  forget(&joined, end);
  forget(&joined, other);
  release(end);
  release(other);
}

/* Returns false when the stream is gone: one of its sockets has failed, or both ways have come to their end. */
static bool move(struct end *end) {
  if (move_way(&end->way) && !(end->way.shut && end->other->way.shut)) return true;
  finish(end);
  return false;
}

static void prepare(struct end *end, struct end *other) {
  end->other = other;
  open_way(&end->way, end->fd, other->fd);
  end->state = JOINED;
  watch(queue, EPOLL_CTL_MOD, end->fd, EPOLLIN | EPOLLOUT | EPOLLET, end);
}

static void join(struct end *one, struct end *other) {
  prepare(one, other);
  prepare(other, one);
  push(&joined, one);
  if (move(one)) move(other);
}

/* One SAM line, without its newline. */
static void answer(struct end *end, const char *line) {
  struct side *mine = &sides[end->side];
  char reply[LINE_LENGTH + 64];
  if (strncmp(line, "HELLO ", 6) == 0) {
    say(end, "HELLO REPLY RESULT=OK VERSION=3.1\n");
  } else if (strncmp(line, "SESSION CREATE ", 15) == 0) {
    const char *keys = strstr(line, " DESTINATION=");
    int length = keys == NULL ? 0 : (int)strcspn(keys + 13, " ");
    if (length < DESTINATION_CHARACTERS) return say(end, "SESSION STATUS RESULT=INVALID_KEY\n");
    /* Where the destination ends in the blob, four bits of what follows share its last character. */
    memcpy(mine->destination, keys + 13, DESTINATION_CHARACTERS);
    memcpy(mine->destination + DESTINATION_CHARACTERS - 3, "A==", 3);
    snprintf(reply, sizeof reply, "SESSION STATUS RESULT=OK DESTINATION=%.*s\n", length, keys + 13);
    end->state = STAYING;
    say(end, reply);
  } else if (strncmp(line, "STREAM ACCEPT ", 14) == 0) {
    say(end, "STREAM STATUS RESULT=OK\n");
    end->state = ACCEPTING;
    push(&mine->accepting, end);
  } else if (strncmp(line, "STREAM CONNECT ", 15) == 0) {
    say(end, "STREAM STATUS RESULT=OK\n");
    end->state = CONNECTING;
    push(&mine->connecting, end);
  } else {
    say(end, "I2P ERROR\n");
  }
  for (int side = 0; side < 2; side++) {
    while (sides[side].connecting != NULL && sides[1 - side].accepting != NULL) {
      struct end *from = shift(&sides[side].connecting);
      struct end *to = shift(&sides[1 - side].accepting);
      snprintf(reply, sizeof reply, "%s\n", sides[side].destination);
      say(to, reply);
      join(from, to);
    }
  }
}

static void listen_to(struct end *end) {
  if (end->line == NULL && (end->line = malloc(LINE_LENGTH)) == NULL) fail("malloc");
  while (end->state == SPEAKING) {
    /* One byte at a time: what follows the line belongs to the stream. */
    ssize_t got = recv(end->fd, end->line + end->length, 1, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || end->length == LINE_LENGTH - 1) return finish(end);
    if (end->line[end->length] != '\n') {
      end->length++;
      continue;
    }
    end->line[end->length] = '\0';
    end->length = 0;
    answer(end, end->line);
  }
}

static void take(struct end *listener) {
  for (;;) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    struct end *end = calloc(1, sizeof *end);
    if (end == NULL) fail("calloc");
    no_delay(fd);
    end->fd = fd;
    end->side = listener->side;
    end->state = listener->port == SAM_PORT ? SPEAKING : STAYING;
    watch(queue, EPOLL_CTL_ADD, fd, EPOLLIN, end);
    if (end->state == SPEAKING) continue;
    struct end *other = shift(&sides[1 - end->side].plain);
    if (other == NULL) push(&sides[end->side].plain, end);
    else join(end, other);
  }
}

static void serve(struct end *end) {
  char byte;
  switch (end->state) {
    case LISTENING:
      return take(end);
    case SPEAKING:
      return listen_to(end);
    case JOINED:
      if (move(end)) move(end->other);
      return;
    default:
      /* Whoever waits says nothing; its end shows as an end. */
      if (recv(end->fd, &byte, 1, MSG_PEEK) == 0) finish(end);
  }
}

int main(int count, char **words) {
  struct epoll_event event;
  if (count != 5) return fprintf(stderr, "line RATE DELAY NAMESPACE NAMESPACE\n"), 2;
  shape_ways(atof(words[1]), atof(words[2]) / 1000);
  queue = epoll_create1(EPOLL_CLOEXEC);
  for (int side = 0; side < 2; side++) {
    enter(words[3 + side]);
    listen_on(side, SAM_PORT);
    listen_on(side, PLAIN_PORT);
  }
  struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(queue, EPOLL_CTL_ADD, 0, &input) < 0) fail("epoll_ctl");
  puts("ready");
  fflush(stdout);
  for (;;) {
    /* One at a time: serving one may end another that would be in the same list. */
    int found = epoll_wait(queue, &event, 1, ways_take_time() && joined != NULL ? 1 : -1);
    if (found > 0 && event.data.ptr == NULL) return 0;
    if (found > 0) serve(event.data.ptr);
    if (!ways_take_time()) continue;
    for (struct end *end = joined, *next; end != NULL; end = next) {
      next = end->next;
      if (move(end)) move(end->other);
    }
  }
}
