/* SPDX-License-Identifier: Apache-2.0 */
/* tally: count strings and list the most frequent ones. */
#ifndef TALLY_TALLY_H
#define TALLY_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tally tally;

/* One string and how often it was counted. The key belongs to the tally and
 * lives as long as it does. */
typedef struct tally_entry {
    const char *key;
    uint64_t count;
} tally_entry;

/* Returns an empty tally, or NULL when memory is short. */
tally *tally_new(void);

/* Releases a tally and every key it handed out. NULL is fine. */
void tally_free(tally *t);

/* Counts key n more times; counts stop at UINT64_MAX. The key is copied.
 * Returns false, and changes nothing, when memory is short. */
bool tally_add(tally *t, const char *key, uint64_t n);

/* How often key was counted; 0 if never. */
uint64_t tally_count(const tally *t, const char *key);

/* The sum of all counts, at most UINT64_MAX. */
uint64_t tally_total(const tally *t);

/* How many different keys there are. */
size_t tally_size(const tally *t);

/* Writes the most frequent entries, at most cap, to out: larger counts first,
 * equal ones in the order of strcmp. Returns how many it wrote. */
size_t tally_top(const tally *t, tally_entry *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
