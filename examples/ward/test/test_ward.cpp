// SPDX-License-Identifier: BSL-1.0
#include "ward/ward.hpp"

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

namespace {

std::string trace(bool fail, bool release) {
    std::string out;
    try {
        ward::on_exit a{[&] { out += 'a'; }};
        ward::on_failure b{[&] { out += 'b'; }};
        ward::on_success c{[&] { out += 'c'; }};
        if (release) {
            a.release();
        }
        if (fail) {
            throw std::runtime_error("on purpose");
        }
    } catch (const std::runtime_error &) {
        out += '!';
    }
    return out;
}

} // namespace

int main() {
    if (trace(false, false) != "ca" || trace(true, false) != "ba!" || trace(false, true) != "c" || trace(true, true) != "b!") {
        std::cerr << "guards ran in the wrong order or at the wrong time\n";
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
