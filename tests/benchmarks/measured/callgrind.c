/* What a measured process says to the callgrind that it runs under. */
#include <valgrind/callgrind.h>

int under_valgrind(void) { return RUNNING_ON_VALGRIND; }
void count(void) { CALLGRIND_START_INSTRUMENTATION; }
void from_zero(void) { CALLGRIND_ZERO_STATS; }
void write_counts(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
void count_no_more(void) { CALLGRIND_STOP_INSTRUMENTATION; }
