/*
 * See kernel.h.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <string.h>
#include <sys/uio.h>

#include "expect.h"
#include "make.h"
#include "opinion.h"
#include "scenario.h"

enum { IPV6 = 40, TCP = 6, UDP = 17, MOST_PIECES = 12, GSO_UDP_L4 = 5 };

static struct {
    struct choices *choices;
    bool offload;
    struct making making;
    uint32_t left; /* pieces to come */
    struct piece pieces[MOST_PIECES];
    size_t count;
    uint64_t counted[COUNTERS];
} now;

/* Destination options between the header and TCP or UDP. */
static void insert_options(struct piece *piece, size_t size)
{
    if (piece->length + size > MAKE_LONGEST) return;
    memmove(piece->packet + IPV6 + size, piece->packet + IPV6, piece->length - IPV6);
    memset(piece->packet + IPV6, 0, size);
    piece->packet[IPV6] = piece->packet[6];
    piece->packet[IPV6 + 1] = (uint8_t)(size / 8 - 1);
    piece->packet[6] = 60;
    piece->length += size;
    put_word(piece->packet + 4, piece->length - IPV6);
}

/* With offload a kernel leaves the checksum to be done, and cuts nothing. */
static void leave_work(struct piece *piece, struct choices *choices)
{
    static const uint32_t sizes[] = {1220, 1220, 1220, 1220, 1220, 1180, 536, 100, 1, 65535};
    static const uint32_t flags[] = {0, 0, 0, 0, 0x08, 0x01, 0x80, 0x89};
    uint8_t protocol = piece->packet[6];
    bool tcp = protocol == TCP;
    size_t transport = IPV6;
    if (rarely(choices, 8)) {
        size_t size = 8 * (1 + choose(choices, 7));
        insert_options(piece, size);
        transport = piece->packet[6] == 60 ? IPV6 + size : IPV6;
    }
    size_t headers = transport + (tcp ? (size_t)(piece->packet[transport + 12] >> 4) * 4 : 8);
    size_t field = transport + (tcp ? 16U : 6U);
    size_t size =
        rarely(choices, 4) ? 1 + choose(choices, 65535) : one_of(choices, sizes, sizeof sizes / sizeof sizes[0]);
    put_word(piece->packet + field, opinion_pseudo(piece->packet, piece->length - transport, protocol));
    piece->header = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                            .hdr_len = (uint16_t)headers,
                                            .csum_start = (uint16_t)transport,
                                            .csum_offset = (uint16_t)(field - transport)};
    if (piece->length <= headers + size) return;
    piece->header.gso_type = (uint8_t)(tcp ? VIRTIO_NET_HDR_GSO_TCPV6 : GSO_UDP_L4);
    piece->header.gso_size = (uint16_t)size;
    if (tcp) piece->packet[transport + 13] |= (uint8_t)one_of(choices, flags, sizeof flags / sizeof flags[0]);
}

/* What no kernel does. */
static void lie(struct piece *piece, struct choices *choices)
{
    static const uint32_t numbers[] = {0, 1, 39, 40, 41, 60, 100, 65535};
    uint8_t *header = (uint8_t *)&piece->header;
    uint16_t number;
    piece->sound = false;
    switch (choose(choices, 6)) {
    case 0:
        header[choose(choices, sizeof piece->header)] = choose_byte(choices);
        break;
    case 1:
        number = (uint16_t)one_of(choices, numbers, sizeof numbers / sizeof numbers[0]);
        memcpy(header + 2 * (1 + choose(choices, 4)), &number, sizeof number);
        break;
    case 2:
        piece->header.gso_type = choose_byte(choices);
        break;
    case 3:
        piece->packet[choose(choices, 64)] = choose_byte(choices);
        break;
    case 4:
        piece->length = choose(choices, (uint32_t)piece->length + 1);
        break;
    default:
        piece->length = choose(choices, 64);
        if (piece->length >= IPV6) put_word(piece->packet + 4, piece->length - IPV6);
        break;
    }
}

/* Whether the reader takes it for a packet; what it has to count otherwise. */
static bool is_packet(const struct piece *piece, size_t room)
{
    const uint8_t *packet = piece->packet;
    size_t length = piece->length < room ? piece->length : room;
    if (length == 0 || packet[0] >> 4 != 6) {
        now.counted[COUNT_READ_NOT_IPV6]++;
        return false;
    }
    if (length >= IPV6 && length == IPV6 + ((size_t)packet[4] << 8 | packet[5])) return true;
    now.counted[COUNT_READ_BAD_LENGTH]++;
    return false;
}

/* Whether its headers leave room for data: then a kernel may have left work to be done. */
static bool has_data(const struct piece *piece)
{
    const uint8_t *packet = piece->packet;
    if (packet[6] != TCP) return packet[6] == UDP && piece->length > IPV6 + 8;
    if (piece->length <= IPV6 + 20) return false;
    size_t header = (size_t)(packet[IPV6 + 12] >> 4) * 4;
    return header >= 20 && piece->length > IPV6 + header;
}

/* The next piece, or NULL with errno. It is listed if it is a packet. */
static const struct piece *next_piece(size_t room)
{
    struct piece *piece = &now.pieces[now.count];
    if (rarely(now.choices, 64)) {
        errno = EINTR;
        return NULL;
    }
    if (now.left == 0 || now.count == MOST_PIECES) {
        now.left = 0;
        errno = EAGAIN;
        return NULL;
    }
    now.left--;
    memset(&piece->header, 0, sizeof piece->header);
    piece->length = make_packet(&now.making, choose(now.choices, MAKE_FLOWS), piece->packet);
    piece->sound = true;
    if (now.offload && has_data(piece) && !rarely(now.choices, 8)) leave_work(piece, now.choices);
    if (rarely(now.choices, 6)) lie(piece, now.choices);
    if (!now.offload) memset(&piece->header, 0, sizeof piece->header);
    now.counted[COUNT_READS]++;
    if (is_packet(piece, room)) now.count++;
    return piece;
}

/* In place of the system calls (ld --wrap). */
ssize_t __wrap_read(int descriptor, void *to, size_t room);
ssize_t __wrap_read(int descriptor, void *to, size_t room)
{
    if (descriptor != EXPECT_DESCRIPTOR) broken("a read from another descriptor");
    if (__asan_region_is_poisoned(to, room) != NULL) broken("a read into less room than was said");
    const struct piece *piece = next_piece(room);
    if (piece == NULL) return -1;
    size_t length = piece->length < room ? piece->length : room;
    memcpy(to, piece->packet, length);
    return (ssize_t)length;
}

ssize_t __wrap_readv(int descriptor, const struct iovec *into, int count);
ssize_t __wrap_readv(int descriptor, const struct iovec *into, int count)
{
    if (descriptor != EXPECT_DESCRIPTOR || count != 2 || into[0].iov_len != sizeof(struct virtio_net_hdr)) {
        broken("not a read with a header from the device");
    }
    if (__asan_region_is_poisoned(into[1].iov_base, into[1].iov_len) != NULL) {
        broken("a read into less room than was said");
    }
    const struct piece *piece = next_piece(into[1].iov_len);
    if (piece == NULL) return -1;
    size_t length = piece->length < into[1].iov_len ? piece->length : into[1].iov_len;
    memcpy(into[0].iov_base, &piece->header, sizeof piece->header);
    memcpy(into[1].iov_base, piece->packet, length);
    /* Now and then not even a whole header. */
    if (length == 0) return (ssize_t)choose(now.choices, sizeof piece->header + 1);
    return (ssize_t)(length + sizeof piece->header);
}

void kernel_begin(struct choices *choices, enum offload offload)
{
    now.choices = choices;
    now.offload = offload != OFFLOAD_NONE;
    now.making = (struct making){.choices = choices, .large = now.offload};
    now.left = 1 + choose(choices, MOST_PIECES);
    now.count = 0;
    memset(now.counted, 0, sizeof now.counted);
}

const struct piece *kernel_piece(size_t index)
{
    return index < now.count ? &now.pieces[index] : NULL;
}

bool kernel_has_more(void)
{
    return now.left > 0;
}

uint64_t kernel_counted(enum counter which)
{
    return now.counted[which];
}
