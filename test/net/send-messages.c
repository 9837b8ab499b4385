/*
 * Sends an ICMPv6 message of each of these types, as discovery does with the hop limit 255: send-messages TO TYPE ... Node has
 * no raw sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **words)
{
    if (count < 3) return 2;
    int hops = 255;
    struct sockaddr_in6 to = {.sin6_family = AF_INET6};
    int out = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    if (out < 0 || inet_pton(AF_INET6, words[1], &to.sin6_addr) != 1 ||
        setsockopt(out, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops) != 0) {
        perror("send-messages");
        return 1;
    }
    for (int at = 2; at < count; at += 1) {
        unsigned char message[64] = {(unsigned char)atoi(words[at])};
        /* The kernel may tell the sender that it was dropped. */
        if (sendto(out, message, sizeof message, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno != EPERM) {
            perror("send-messages");
            return 1;
        }
    }
    return close(out);
}
