/*
 * What a VPN gateway costs that moves packet by packet, as OnionCat does: one read and one write of the TUN, and one send,
 * for each packet, in two threads. Waits where OnionCat would lose, so that it compares at its best.
 *
 * relay INTERFACE PORT|PATH     attaches to a TUN that stands, connects to that port on loopback or to that unix socket;
 *                               ends with its standard input
 */
#include "socket.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#define HEADER 40
#define LONGEST_PACKET (HEADER + 65535)

static int tun;
static int line;

static void *send_packets(void *nothing) {
  static unsigned char packet[LONGEST_PACKET];
  for (;;) {
    ssize_t length = read(tun, packet, sizeof packet);
    if (length < 0) fail("read");
    if (length < HEADER || packet[0] >> 4 != 6) continue;
    for (ssize_t sent = 0; sent < length;) {
      ssize_t put = send(line, packet + sent, (size_t)(length - sent), MSG_NOSIGNAL);
      if (put < 0) exit(0);
      sent += put;
    }
  }
  return nothing;
}

static void *receive_packets(void *nothing) {
  static unsigned char bytes[LONGEST_PACKET];
  size_t held = 0;
  for (;;) {
    ssize_t got = recv(line, bytes + held, sizeof bytes - held, 0);
    if (got <= 0) exit(0);
    held += (size_t)got;
    for (;;) {
      size_t length = held < HEADER ? held + 1 : HEADER + (size_t)(bytes[4] << 8 | bytes[5]);
      if (length > held) break;
      if (write(tun, bytes, length) < 0 && errno != ENOBUFS) fail("write");
      held -= length;
      memmove(bytes, bytes + length, held);
    }
  }
  return nothing;
}

static int connect_to(const char *where) {
  struct sockaddr_un path = {.sun_family = AF_UNIX};
  struct sockaddr_in port = loopback(atoi(where));
  int is_path = *where == '/';
  int made = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0 || strlen(where) >= sizeof path.sun_path) fail("socket");
  strcpy(path.sun_path, where);
  if (is_path ? connect(made, (struct sockaddr *)&path, sizeof path) : connect(made, (struct sockaddr *)&port, sizeof port))
    fail("connect");
  return made;
}

int main(int count, char **words) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  pthread_t threads[2];
  char byte;
  if (count != 3) return fprintf(stderr, "relay INTERFACE PORT|PATH\n"), 2;
  strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
  tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun < 0 || ioctl(tun, TUNSETIFF, &request) < 0) fail("tun");
  line = connect_to(words[2]);
  if (pthread_create(&threads[0], NULL, send_packets, NULL) != 0) fail("thread");
  if (pthread_create(&threads[1], NULL, receive_packets, NULL) != 0) fail("thread");
  puts("ready");
  fflush(stdout);
  while (read(0, &byte, 1) > 0) continue;
  return 0;
}
