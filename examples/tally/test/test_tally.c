/* SPDX-License-Identifier: Apache-2.0 */
#include "tally/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                       \
    do {                                                                  \
        if (!(cond)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);    \
            return EXIT_FAILURE;                                          \
        }                                                                 \
    } while (0)

int main(void) {
    tally *t = tally_new();
    CHECK(t != NULL);
    CHECK(tally_count(t, "red") == 0 && tally_total(t) == 0);

    tally_entry top[4];
    CHECK(tally_top(t, top, 4) == 0);

    CHECK(tally_add(t, "red", 2) && tally_add(t, "blue", 2) && tally_add(t, "red", 1));
    CHECK(tally_count(t, "red") == 3 && tally_size(t) == 2 && tally_total(t) == 5);

    char key[16];
    for (int i = 0; i < 1000; i++) { /* grows several times */
        snprintf(key, sizeof key, "k%03d", i);
        CHECK(tally_add(t, key, 1));
    }
    CHECK(tally_size(t) == 1002 && tally_count(t, "k999") == 1);

    CHECK(tally_top(t, top, 4) == 4);
    CHECK(strcmp(top[0].key, "red") == 0 && strcmp(top[1].key, "blue") == 0);
    CHECK(strcmp(top[2].key, "k000") == 0 && strcmp(top[3].key, "k001") == 0);
    CHECK(tally_top(t, top, 0) == 0);

    CHECK(tally_add(t, "red", UINT64_MAX) && tally_count(t, "red") == UINT64_MAX);
    CHECK(tally_total(t) == UINT64_MAX);
    tally_free(t);
    tally_free(NULL);
    return EXIT_SUCCESS;
}
