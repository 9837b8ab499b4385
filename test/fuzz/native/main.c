/*
 * Runs inputs of the fuzzer through one scenario of the native part, under the sanitizers. Inputs come on standard input,
 * each behind its length (32 bits, least significant byte first). At the end standard output says how many there were and
 * what they reached; before that, where a promise was broken, which input it was.
 */
#define _GNU_SOURCE
#include "scenario.h"

#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { LONGEST_SECONDS = 5, LONGEST_INPUT = 1 << 20, BROKEN = 3 };

static const struct scenario {
    const char *name;
    void (*run)(struct choices *choices);
} SCENARIOS[] = {{"write", scenario_write},
                 {"read", scenario_read},
                 {"sockets", scenario_sockets},
                 {"netlink", scenario_netlink}};

static const char *const REACHED[REACHES] = {
    [REACH_ALONE] = "alone",         [REACH_JOINED] = "joined",       [REACH_WHOLE] = "whole",
    [REACH_REFUSED] = "refused",     [REACH_CUT] = "cut",             [REACH_COMPLETED] = "completed",
    [REACH_UNCUT] = "uncut",         [REACH_MALFORMED] = "malformed", [REACH_NO_ROOM] = "noRoom",
    [REACH_CONNECTED] = "connected", [REACH_MOVED] = "moved",         [REACH_STALE] = "stale",
    [REACH_ANSWERED] = "answered",
};

static uint64_t reached[REACHES];
static unsigned long current;

void reach(enum reach what)
{
    reached[what]++;
}

/* By hand and at once: whoever dies may hold a lock of stdio. */
static void say_which(void)
{
    char line[64];
    int length = snprintf(line, sizeof line, "{\"failed\":%lu}\n", current);
    ssize_t put = write(STDOUT_FILENO, line, (size_t)length);
    (void)put; /* without it the input is looked for one by one */
}

void broken(const char *format, ...)
{
    va_list arguments;
fflush(stdout);    fputs("broken: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    say_which();
    _exit(BROKEN);
}

static void on_overtime(int signal)
{
    static const char words[] = "broken: it does not come to an end\n";
    (void)signal;
    ssize_t put = write(STDERR_FILENO, words, sizeof words - 1);
    (void)put;
    say_which();
    _exit(BROKEN);
}

/* Of the processor's time: a busy machine is no fault. */
static void allow(time_t seconds)
{
    const struct itimerval time = {.it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_PROF, &time, NULL);
}

static const struct scenario *scenario_of(const char *name)
{
    for (size_t at = 0; at < sizeof SCENARIOS / sizeof SCENARIOS[0]; at++) {
        if (strcmp(SCENARIOS[at].name, name) == 0) return &SCENARIOS[at];
    }
    return NULL;
}

static bool read_input(uint8_t *bytes, size_t *length)
{
    uint8_t head[4];
    if (fread(head, 1, sizeof head, stdin) != sizeof head) return false;
    *length = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    return *length <= LONGEST_INPUT && fread(bytes, 1, *length, stdin) == *length;
}

int main(int count, char **arguments)
{
    const struct scenario *scenario = count == 2 ? scenario_of(arguments[1]) : NULL;
    uint8_t *input = malloc(LONGEST_INPUT);
    size_t length;
    if (scenario == NULL || input == NULL) {
        fputs("wanted: the name of a scenario\n", stderr);
        return 64;
    }
    __sanitizer_set_death_callback(say_which);
    signal(SIGPROF, on_overtime);
    for (; read_input(input, &length); current++) {
        allow(LONGEST_SECONDS);
        struct choices choices = {input, input + length};
        scenario->run(&choices);
    }
    allow(0);
    free(input);
    printf("{\"inputs\":%lu", current);
    for (size_t at = 0; at < REACHES; at++) printf(",\"%s\":%llu", REACHED[at], (unsigned long long)reached[at]);
    puts("}");
    return 0;
}
