// SPDX-License-Identifier: Apache-2.0 OR MIT
// ribbon: bar charts of tallies in plain text.
#ifndef RIBBON_RIBBON_HPP
#define RIBBON_RIBBON_HPP

#include <cstddef>
#include <cstdint>
#include <string>

#include <tally/tally.h>

namespace ribbon {

/// How a chart is drawn.
struct options {
    std::size_t width = 40; ///< columns of the longest bar
    std::size_t rows = 10;  ///< entries shown, the most frequent first
    bool ascii = false;     ///< '#' in place of block elements
};

/// Returns a bar for value on a scale from 0 to max, at most width columns
/// wide, in UTF-8. Any value above zero is visible. A max of 0 gives no bar.
std::string bar(std::uint64_t value, std::uint64_t max, std::size_t width, bool ascii = false);

/// Returns one line for each of the most frequent entries of t: its key, padded
/// to the longest one shown, its bar and its count. An empty tally gives "".
std::string chart(const ::tally &t, const options &o = {});

} // namespace ribbon

#endif
