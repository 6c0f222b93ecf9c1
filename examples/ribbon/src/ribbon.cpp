// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ribbon/ribbon.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

namespace ribbon {
namespace {

// One to seven eighths of a column; eight is a full block.
constexpr std::array<std::string_view, 9> eighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};

// Columns of UTF-8 text where every code point is one column wide, which is
// true of the names people give things, if not of all of Unicode.
std::size_t columns(std::string_view s) {
    return static_cast<std::size_t>(
        std::count_if(s.begin(), s.end(), [](unsigned char c) { return (c & 0xC0U) != 0x80U; }));
}

} // namespace

std::string bar(std::uint64_t value, std::uint64_t max, std::size_t width, bool ascii) {
    if (value == 0 || max == 0 || width == 0) {
        return {};
    }
    const double share = static_cast<double>(std::min(value, max)) / static_cast<double>(max);
    const std::size_t steps = ascii ? 1 : 8;
    const auto filled = std::max<std::size_t>(
        1, static_cast<std::size_t>(std::lround(share * static_cast<double>(width * steps))));
    std::string out;
    for (std::size_t i = 0; i < filled / steps; i++) {
        out += ascii ? std::string_view{"#"} : eighths[8];
    }
    if (!ascii) {
        out += eighths[filled % steps];
    }
    return out;
}

std::string chart(const ::tally &t, const options &o) {
    std::vector<tally_entry> top(std::min(o.rows, tally_size(&t)));
    top.resize(tally_top(&t, top.data(), top.size()));

    std::size_t widest = 0;
    for (const auto &e : top) {
        widest = std::max(widest, columns(e.key));
    }
    std::string out;
    for (const auto &e : top) {
        out += e.key;
        out.append(widest - columns(e.key) + 1, ' ');
        out += bar(e.count, top.front().count, o.width, o.ascii);
        out += ' ';
        out += std::to_string(e.count);
        out += '\n';
    }
    return out;
}

} // namespace ribbon
