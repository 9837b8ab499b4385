/* One direction of a stream: bytes are copied from one socket to another, as fast as it goes, or as a slow line would. */
#ifndef BENCH_WAY_H
#define BENCH_WAY_H

#include <stdbool.h>
#include <stddef.h>

struct chunk;

struct way {
  int from;
  int to;
  bool over; /* nothing more comes */
  bool shut; /* whoever reads has been told */
  /* What is on the way: in a pipe without rate or delay, else in chunks. */
  int pipe[2];
  size_t in_pipe;
  struct chunk *first;
  struct chunk *last;
  size_t held;
  double tokens;
  double counted;
};

/* Of all ways, before there is any: the rate, 0 for as fast as it goes, and the delay. */
void shape_ways(double bytes_per_second, double seconds);

/* Ways have to be moved by the clock too, and not only when there is something to read or room to write. */
bool ways_take_time(void);

void open_way(struct way *way, int from, int to);

/* Moves all that can be moved now. Returns false when one of the sockets has failed. */
bool move_way(struct way *way);

/* The sockets stay open. */
void release_way(struct way *way);

#endif
