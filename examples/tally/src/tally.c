/* SPDX-License-Identifier: Apache-2.0 */
#include "tally/tally.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 16 }; /* a power of two, as every size after it */

typedef struct slot {
    char *key; /* NULL: free */
    uint64_t hash;
    uint64_t count;
} slot;

struct tally {
    slot *slots;
    size_t mask; /* number of slots, less one */
    size_t used;
};

/* FNV-1a, 64 bits: short, and good enough for keys that nobody chose in order
 * to collide. */
static uint64_t hash_of(const char *s) {
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *s != '\0'; s++) {
        h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
    }
    return h;
}

static uint64_t add_capped(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The slot that holds key, or the free one where it belongs. There always is a
 * free one: the table never fills. */
static slot *find(const tally *t, const char *key, uint64_t hash) {
    for (size_t i = (size_t)hash & t->mask;; i = (i + 1) & t->mask) {
        slot *s = &t->slots[i];
        if (s->key == NULL || (s->hash == hash && strcmp(s->key, key) == 0)) {
            return s;
        }
    }
}

static bool grow(tally *t) {
    size_t n = (t->mask + 1) * 2;
    tally bigger = {calloc(n, sizeof(slot)), n - 1, t->used};
    if (n < t->mask || bigger.slots == NULL) {
        free(bigger.slots);
        return false;
    }
    for (size_t i = 0; i <= t->mask; i++) {
        if (t->slots[i].key != NULL) {
            *find(&bigger, t->slots[i].key, t->slots[i].hash) = t->slots[i];
        }
    }
    free(t->slots);
    *t = bigger;
    return true;
}

tally *tally_new(void) {
    tally *t = malloc(sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    *t = (tally){calloc(FIRST_SLOTS, sizeof(slot)), FIRST_SLOTS - 1, 0};
    if (t->slots == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void tally_free(tally *t) {
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i <= t->mask; i++) {
        free(t->slots[i].key);
    }
    free(t->slots);
    free(t);
}

bool tally_add(tally *t, const char *key, uint64_t n) {
    uint64_t hash = hash_of(key);
    slot *s = find(t, key, hash);
    if (s->key != NULL) {
        s->count = add_capped(s->count, n);
        return true;
    }
    if ((t->used + 1) * 4 > (t->mask + 1) * 3) {
        if (!grow(t)) {
            return false;
        }
        s = find(t, key, hash);
    }
    size_t len = strlen(key) + 1;
    char *copy = malloc(len);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, key, len);
    *s = (slot){copy, hash, n};
    t->used++;
    return true;
}

uint64_t tally_count(const tally *t, const char *key) {
    const slot *s = find(t, key, hash_of(key));
    return s->key == NULL ? 0 : s->count;
}

uint64_t tally_total(const tally *t) {
    uint64_t sum = 0;
    for (size_t i = 0; i <= t->mask; i++) {
        sum = add_capped(sum, t->slots[i].count);
    }
    return sum;
}

size_t tally_size(const tally *t) { return t->used; }

static bool before(tally_entry a, tally_entry b) {
    return a.count != b.count ? a.count > b.count : strcmp(a.key, b.key) < 0;
}

/* Lets the entry at i sink in a heap of n entries whose root comes last in the
 * order of before. */
static void sink(tally_entry *heap, size_t n, size_t i) {
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child], heap[child + 1])) {
            child++;
        }
        if (!before(heap[i], heap[child])) {
            return;
        }
        tally_entry swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
    }
}

size_t tally_top(const tally *t, tally_entry *out, size_t cap) {
    size_t n = 0;
    for (size_t i = 0; i <= t->mask && cap > 0; i++) {
        if (t->slots[i].key == NULL) {
            continue;
        }
        tally_entry e = {t->slots[i].key, t->slots[i].count};
        if (n < cap) {
            out[n++] = e;
            if (n == cap) {
                for (size_t k = n / 2; k-- > 0;) {
                    sink(out, n, k);
                }
            }
        } else if (before(e, out[0])) {
            out[0] = e;
            sink(out, n, 0);
        }
    }
    if (n < cap) {
        for (size_t k = n / 2; k-- > 0;) {
            sink(out, n, k);
        }
    }
    /* Heap sort: what comes last moves to the end. */
    for (size_t m = n; m > 1; m--) {
        tally_entry swap = out[0];
        out[0] = out[m - 1];
        out[m - 1] = swap;
        sink(out, m - 1, 0);
    }
    return n;
}
