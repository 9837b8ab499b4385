/*
 * Sends standard input to a UDP port as one super-packet of equal datagrams (UDP_SEGMENT, Linux 4.18), as QUIC programs
 * do: send-segments FROM TO PORT SIZE. Node has no way to ask for it.
 */
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

int main(int count, char **words)
{
    static char bytes[65000];
    if (count != 5) return 2;
    int segment = atoi(words[4]);
    struct sockaddr_in6 from = {.sin6_family = AF_INET6};
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)atoi(words[3]))};
    size_t length = fread(bytes, 1, sizeof bytes, stdin);
    int out = socket(AF_INET6, SOCK_DGRAM, 0);
    if (out < 0 || inet_pton(AF_INET6, words[1], &from.sin6_addr) != 1 ||
        inet_pton(AF_INET6, words[2], &to.sin6_addr) != 1 ||
        setsockopt(out, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0 ||
        bind(out, (struct sockaddr *)&from, sizeof from) != 0 ||
        sendto(out, bytes, length, 0, (struct sockaddr *)&to, sizeof to) != (ssize_t)length) {
        perror("send-segments");
        return 1;
    }
    return close(out);
}
