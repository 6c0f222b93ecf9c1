// SPDX-License-Identifier: Apache-2.0
// letters: count the letters of its arguments and draw them as a chart.
#include <cctype>
#include <cstdio>

#include <ribbon/ribbon.hpp>
#include <ward/ward.hpp>

int main(int argc, char **argv) {
    tally *letters = tally_new();
    if (!letters) return 1;
    ward::on_exit free_letters{[&] { tally_free(letters); }};
    for (int i = 1; i < argc; i++) {
        for (const char *p = argv[i]; *p; p++) {
            const char key[] = {static_cast<char>(std::tolower(static_cast<unsigned char>(*p))), 0};
            if (std::isalpha(static_cast<unsigned char>(*p)) && !tally_add(letters, key, 1)) return 1;
        }
    }
    ribbon::options o;
    o.ascii = true;
    o.width = 10;
    std::fputs(ribbon::chart(*letters, o).c_str(), stdout);
}
