// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ribbon/ribbon.hpp"

#include <cstdlib>
#include <iostream>
#include <memory>

namespace {

int failures = 0;

void expect(const std::string &got, const std::string &want) {
    if (got != want) {
        std::cerr << "got:\n" << got << "want:\n" << want;
        failures++;
    }
}

} // namespace

int main() {
    std::unique_ptr<tally, decltype(&tally_free)> t{tally_new(), &tally_free};
    expect(ribbon::chart(*t), "");
    tally_add(t.get(), "apples", 12);
    tally_add(t.get(), "pears", 6);
    tally_add(t.get(), "plüms", 1);

    ribbon::options o;
    o.width = 4;
    expect(ribbon::chart(*t, o), "apples ████ 12\npears  ██ 6\nplüms  ▍ 1\n");
    o.ascii = true;
    expect(ribbon::chart(*t, o), "apples #### 12\npears  ## 6\nplüms  # 1\n");
    expect(ribbon::bar(1, 1000000, 10), "▏");
    expect(ribbon::bar(7, 0, 10), "");
    expect(ribbon::bar(9, 3, 2), "██");
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
