/*
 * UDP datagrams at a steady rate, numbered and checked.
 *
 * datagrams send ADDRESS PORT SIZE RATE SECONDS     RATE: datagrams per second
 * datagrams receive ADDRESS PORT SIZE               prints "ready", and at the end of its standard input
 *                                                   "received N wrong N"
 */
#include "socket.h"

#include <poll.h>
#include <stdint.h>
#include <time.h>

#define BATCH 32
#define LONGEST 2048

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Every datagram says by its number what stands in it. */
static void fill(unsigned char *bytes, size_t size, uint32_t number) {
  memcpy(bytes, &number, sizeof number);
  memset(bytes + sizeof number, (int)(number & 0xff), size - sizeof number);
}

static int is_right(const unsigned char *bytes, size_t size, size_t wanted) {
  if (size != wanted) return 0;
  for (size_t at = sizeof(uint32_t); at < size; at++) {
    if (bytes[at] != bytes[0]) return 0;
  }
  return 1;
}

static void send_all(int out, size_t size, double rate, double seconds) {
  static unsigned char bytes[BATCH][LONGEST];
  struct iovec pieces[BATCH];
  struct mmsghdr messages[BATCH];
  uint32_t number = 0;
  uint64_t start = now();
  uint32_t total = (uint32_t)(rate * seconds);
  while (number < total) {
    uint32_t due = (uint32_t)((double)(now() - start) / 1e9 * rate);
    uint32_t count = due > number ? due - number : 0;
    if (count == 0) {
      struct timespec moment = {.tv_nsec = 100000};
      nanosleep(&moment, NULL);
      continue;
    }
    if (count > BATCH) count = BATCH;
    if (count > total - number) count = total - number;
    for (uint32_t index = 0; index < count; index++) {
      fill(bytes[index], size, number + index);
      pieces[index] = (struct iovec){bytes[index], size};
      messages[index] = (struct mmsghdr){.msg_hdr = {.msg_iov = &pieces[index], .msg_iovlen = 1}};
    }
    int sent = sendmmsg(out, messages, count, 0);
    if (sent < 0 && errno != ECONNREFUSED && errno != ENOBUFS) fail("sendmmsg");
    number += sent < 0 ? count : (uint32_t)sent;
  }
  printf("sent %u seconds %.3f\n", number, (double)(now() - start) / 1e9);
}

static void receive_all(int in, size_t size) {
  static unsigned char bytes[BATCH][LONGEST];
  struct iovec pieces[BATCH];
  struct mmsghdr messages[BATCH];
  uint64_t received = 0;
  uint64_t wrong = 0;
  struct pollfd on[2] = {{.fd = in, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  for (;;) {
    if (poll(on, 2, -1) < 0) fail("poll");
    for (;;) {
      for (int index = 0; index < BATCH; index++) {
        pieces[index] = (struct iovec){bytes[index], LONGEST};
        messages[index] = (struct mmsghdr){.msg_hdr = {.msg_iov = &pieces[index], .msg_iovlen = 1}};
      }
      int got = recvmmsg(in, messages, BATCH, MSG_DONTWAIT, NULL);
      if (got <= 0) break;
      received += (uint64_t)got;
      for (int index = 0; index < got; index++) {
        if (!is_right(bytes[index], messages[index].msg_len, size)) wrong++;
      }
    }
    if (on[1].revents != 0) break;
  }
  printf("received %llu wrong %llu\n", (unsigned long long)received, (unsigned long long)wrong);
}

int main(int count, char **words) {
  int sending = count == 7 && strcmp(words[1], "send") == 0;
  if (!sending && !(count == 5 && strcmp(words[1], "receive") == 0)) {
    return fprintf(stderr, "datagrams send ADDRESS PORT SIZE RATE SECONDS | receive ADDRESS PORT SIZE\n"), 2;
  }
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(words[3]))};
  size_t size = (size_t)atoi(words[4]);
  int bytes = 16 * 1024 * 1024;
  int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (inet_pton(AF_INET6, words[2], &address.sin6_addr) != 1 || size < 8 || size > LONGEST) return 2;
  if (fd < 0) fail("socket");
  if (sending) {
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    send_all(fd, size, atof(words[5]), atof(words[6]));
    return 0;
  }
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  puts("ready");
  fflush(stdout);
  receive_all(fd, size);
  return 0;
}
