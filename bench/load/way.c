/* Copies through a pipe that the kernel fills and empties, or in chunks that are given time. See way.h. */
#include "way.h"

#include "socket.h"

#include <fcntl.h>
#include <time.h>

#define PIPE_SIZE (1024 * 1024)
#define LONGEST_CHUNK 16384

/* Bytes on their way, when they are given time for it. */
struct chunk {
  struct chunk *next;
  double due;
  size_t length;
  size_t sent;
  char bytes[];
};

static double rate;
static double delay;

void shape_ways(double bytes_per_second, double seconds) {
  rate = bytes_per_second;
  delay = seconds;
}

bool ways_take_time(void) {
  return rate > 0 || delay > 0;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void open_way(struct way *way, int from, int to) {
  *way = (struct way){.from = from, .to = to, .pipe = {-1, -1}, .counted = now()};
  if (!ways_take_time()) {
    if (pipe2(way->pipe, O_NONBLOCK | O_CLOEXEC) < 0) fail("pipe");
    fcntl(way->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
  } else if (rate > 0) {
    /* A router that is slow takes little ahead. */
    int bytes = 65536;
    setsockopt(from, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
}

static void pass_end(struct way *way) {
  if (!way->over || way->shut || way->in_pipe > 0 || way->first != NULL) return;
  way->shut = true;
  shutdown(way->to, SHUT_WR);
}

static bool move_at_once(struct way *way) {
  for (bool moved = true; moved;) {
    moved = false;
    if (!way->over) {
      ssize_t got = splice(way->from, NULL, way->pipe[1], NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (got == 0) way->over = true;
      else if (got > 0) way->in_pipe += (size_t)got, moved = true;
      else if (errno != EAGAIN) return false;
    }
    if (way->in_pipe > 0) {
      ssize_t put = splice(way->pipe[0], NULL, way->to, NULL, way->in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (put > 0) way->in_pipe -= (size_t)put, moved = true;
      else if (put < 0 && errno != EAGAIN) return false;
    }
  }
  pass_end(way);
  return true;
}

static size_t allowance(struct way *way, double time) {
  /* What fits on the way, and a little in the hands of whoever waits at its end. */
  double most = rate > 0 ? rate * delay + 2 * LONGEST_CHUNK : 8.0 * PIPE_SIZE;
  if ((double)way->held >= most) return 0;
  if (rate == 0) return LONGEST_CHUNK;
  way->tokens += (time - way->counted) * rate;
  way->counted = time;
  double burst = rate / 100 < LONGEST_CHUNK ? LONGEST_CHUNK / 4 : rate / 100;
  if (way->tokens > burst) way->tokens = burst;
  return way->tokens < 1 ? 0 : way->tokens > LONGEST_CHUNK ? LONGEST_CHUNK : (size_t)way->tokens;
}

static bool move_in_time(struct way *way) {
  double time = now();
  size_t allowed;
  while (!way->over && (allowed = allowance(way, time)) > 0) {
    struct chunk *chunk = malloc(sizeof *chunk + allowed);
    if (chunk == NULL) fail("malloc");
    ssize_t got = recv(way->from, chunk->bytes, allowed, 0);
    if (got <= 0) {
      free(chunk);
      if (got < 0 && errno == EAGAIN) break;
      if (got < 0) return false;
      way->over = true;
      break;
    }
    *chunk = (struct chunk){.due = time + delay, .length = (size_t)got};
    if (way->first == NULL) way->first = chunk;
    else way->last->next = chunk;
    way->last = chunk;
    way->held += (size_t)got;
    if (rate > 0) way->tokens -= (double)got;
  }
  while (way->first != NULL && way->first->due <= time) {
    struct chunk *chunk = way->first;
    ssize_t put = send(way->to, chunk->bytes + chunk->sent, chunk->length - chunk->sent, MSG_NOSIGNAL);
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) return false;
    chunk->sent += (size_t)put;
    way->held -= (size_t)put;
    if (chunk->sent < chunk->length) break;
    way->first = chunk->next;
    free(chunk);
  }
  pass_end(way);
  return true;
}

bool move_way(struct way *way) {
  return ways_take_time() ? move_in_time(way) : move_at_once(way);
}

void release_way(struct way *way) {
  struct chunk *chunk;
  while ((chunk = way->first) != NULL) {
    way->first = chunk->next;
    free(chunk);
  }
  if (way->pipe[0] < 0) return;
  close(way->pipe[0]);
  close(way->pipe[1]);
}
