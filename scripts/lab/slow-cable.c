/*
 * A cable between two network namespaces that is as slow, as narrow and as bad as it is told to be, for kernels without
 * netem. It makes a TAP in each namespace and carries Ethernet frames from one to the other.
 *
 * slow-cable NAMESPACE INTERFACE NAMESPACE INTERFACE SEED
 *
 * NAMESPACE: a path such as /run/netns/a. SEED: of the losses; the same frames are lost again with the same seed.
 * Prints "ready" when both interfaces are there, down and without address; then takes a line at a time and answers each:
 *
 *   set DELAY RATE LOSS QUEUE   milliseconds one way, bytes per second (0: any), share from 0 to 1, bytes that may wait for
 *                               their turn. Answers "set". Until then nothing is delayed or lost. Counts from zero again.
 *   show                        two lines, the first for frames from the first namespace; see show().
 *
 * Ends with its standard input. Bytes are those of Ethernet frames, as an interface counts them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_FRAME 65536
#define LONGEST_LINE 256
/* Held at most, waiting or on the way: whatever rate and delay are, memory has an end. */
#define MOST_HELD (64.0 * 1024 * 1024)
/* The rate is that of the busiest second, by when frames were due: a cable that has waited for its turn on a busy machine
 * carries what it owes at once, and is not quicker for that. */
#define WINDOW 1.0

struct frame {
  struct frame *next;
  double came;
  double due;
  size_t length;
  unsigned char bytes[];
};

struct direction {
  int from;
  int to;
  struct frame *first;
  struct frame *last;
  double held;
  double free; /* when the sender's end has sent all that waits */
  /* Counted since the last "set". */
  unsigned long carried;
  unsigned long lost;
  unsigned long dropped;
  unsigned long refused; /* by an interface that is down */
  double delays;         /* of all carried frames together, seconds */
  double window_began;
  double window_bytes;
  double busiest;
};

static struct {
  double delay;
  double rate;
  double loss;
  double queue;
} shape = {.queue = MOST_HELD};

static struct direction directions[2];
static uint64_t random_state;

static void fail(const char *doing) {
  perror(doing);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* splitmix64 (Steele, Lea, Flood 2014): from 0 to just below 1. */
static double draw(void) {
  uint64_t z = random_state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static int open_tap(const char *namespace, const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  int place = open(namespace, O_RDONLY | O_CLOEXEC);
  if (place < 0 || setns(place, CLONE_NEWNET) < 0) fail(namespace);
  close(place);
  int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  if (tap < 0 || ioctl(tap, TUNSETIFF, &request) < 0) fail(name);
  return tap;
}

static void take(struct direction *way, const unsigned char *bytes, size_t length, double time) {
  if (draw() < shape.loss) {
    way->lost++;
    return;
  }
  double begins = way->free > time ? way->free : time;
  double waiting = shape.rate > 0 ? (begins - time) * shape.rate : 0;
  if (waiting + (double)length > shape.queue || way->held + (double)length > MOST_HELD) {
    way->dropped++;
    return;
  }
  struct frame *frame = malloc(sizeof *frame + length);
  if (frame == NULL) fail("malloc");
  way->free = shape.rate > 0 ? begins + (double)length / shape.rate : time;
  *frame = (struct frame){.came = time, .due = way->free + shape.delay, .length = length};
  memcpy(frame->bytes, bytes, length);
  if (way->first == NULL) way->first = frame;
  else way->last->next = frame;
  way->last = frame;
  way->held += (double)length;
}

static void receive(struct direction *way) {
  static unsigned char bytes[LONGEST_FRAME];
  for (;;) {
    ssize_t length = read(way->from, bytes, sizeof bytes);
    if (length > 0) take(way, bytes, (size_t)length, now());
    /* EIO is an interface that is down. */
    else if (length < 0 && (errno == EAGAIN || errno == EIO)) return;
    else fail("read");
  }
}

static void count(struct direction *way, const struct frame *frame, double time) {
  way->carried++;
  way->delays += time - frame->came;
  if (frame->due - way->window_began >= WINDOW) {
    double rate = way->window_bytes / (frame->due - way->window_began);
    if (rate > way->busiest) way->busiest = rate;
    way->window_began = frame->due;
    way->window_bytes = 0;
  }
  way->window_bytes += (double)frame->length;
}

static void deliver(struct direction *way) {
  struct frame *frame;
  double time = now();
  while ((frame = way->first) != NULL && frame->due <= time) {
    if (write(way->to, frame->bytes, frame->length) < 0) way->refused++;
    else count(way, frame, time);
    way->first = frame->next;
    way->held -= (double)frame->length;
    free(frame);
  }
}

static void set(const char *words) {
  double delay, rate, loss, queue;
  if (sscanf(words, "%lf %lf %lf %lf", &delay, &rate, &loss, &queue) != 4) {
    puts("not understood");
    return;
  }
  shape.delay = delay / 1000;
  shape.rate = rate;
  shape.loss = loss;
  shape.queue = queue;
  for (struct direction *way = directions; way < directions + 2; way++) {
    way->carried = way->lost = way->dropped = way->refused = 0;
    way->delays = way->window_bytes = way->busiest = 0;
    way->window_began = now();
    way->free = 0;
  }
  puts("set");
}

static void show(void) {
  for (struct direction *way = directions; way < directions + 2; way++) {
    double delay = way->carried == 0 ? 0 : 1000 * way->delays / (double)way->carried;
    printf("carried %lu lost %lu dropped %lu refused %lu delay %.3f rate %.0f\n", way->carried, way->lost, way->dropped,
           way->refused, delay, way->busiest);
  }
}

/* Returns false at the end of the standard input. */
static bool listen_to_orders(void) {
  static char line[LONGEST_LINE];
  if (fgets(line, sizeof line, stdin) == NULL) return false;
  if (strncmp(line, "set ", 4) == 0) set(line + 4);
  else if (strcmp(line, "show\n") == 0) show();
  else puts("not understood");
  fflush(stdout);
  return true;
}

static void wait_for_work(struct pollfd *watched) {
  double next = INFINITY;
  for (int way = 0; way < 2; way++) {
    if (directions[way].first != NULL) next = fmin(next, directions[way].first->due);
  }
  struct timespec pause = {0};
  double left = fmax(0, next - now());
  if (isfinite(left)) {
    pause.tv_sec = (time_t)left;
    pause.tv_nsec = (long)((left - (double)pause.tv_sec) * 1e9);
  }
  if (ppoll(watched, 3, isfinite(left) ? &pause : NULL, NULL) < 0 && errno != EINTR) fail("ppoll");
}

int main(int count_of_words, char **words) {
  if (count_of_words != 6) {
    fprintf(stderr, "slow-cable NAMESPACE INTERFACE NAMESPACE INTERFACE SEED\n");
    return 2;
  }
  int first = open_tap(words[1], words[2]);
  int second = open_tap(words[3], words[4]);
  directions[0] = (struct direction){.from = first, .to = second};
  directions[1] = (struct direction){.from = second, .to = first};
  random_state = strtoull(words[5], NULL, 10);
  setvbuf(stdin, NULL, _IONBF, 0);
  puts("ready");
  fflush(stdout);
  struct pollfd watched[3] = {
      {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
  for (;;) {
    wait_for_work(watched);
    for (int way = 0; way < 2; way++) {
      receive(&directions[way]);
      deliver(&directions[way]);
    }
    if (watched[0].revents != 0 && !listen_to_orders()) return 0;
  }
}
