// SPDX-License-Identifier: BSL-1.0
// ward: run a function when a scope ends.
#ifndef WARD_WARD_HPP
#define WARD_WARD_HPP

#include <exception>
#include <type_traits>
#include <utility>

namespace ward {
namespace detail {

enum class when { always, failure, success };

template <class F, when When>
class guard {
    static_assert(std::is_invocable_v<F &>, "a guard's function takes no arguments");

public:
    explicit guard(F f) noexcept(std::is_nothrow_move_constructible_v<F>) : f_(std::move(f)) {}
    guard(const guard &) = delete;
    guard &operator=(const guard &) = delete;

    // Only what runs on success may throw: anything else may run while an
    // exception is on its way, and a second one would end the program.
    ~guard() noexcept(When != when::success || std::is_nothrow_invocable_v<F &>) {
        const bool failed = std::uncaught_exceptions() > entered_;
        if (armed_ && (When == when::always || (When == when::failure) == failed)) {
            f_();
        }
    }

    /// Calls the guard off.
    void release() noexcept { armed_ = false; }

private:
    F f_;
    int entered_ = std::uncaught_exceptions();
    bool armed_ = true;
};

} // namespace detail

/// Runs f when the scope ends.
template <class F>
struct on_exit : detail::guard<F, detail::when::always> {
    using detail::guard<F, detail::when::always>::guard;
};
template <class F>
on_exit(F) -> on_exit<F>;

/// Runs f when the scope ends by an exception.
template <class F>
struct on_failure : detail::guard<F, detail::when::failure> {
    using detail::guard<F, detail::when::failure>::guard;
};
template <class F>
on_failure(F) -> on_failure<F>;

/// Runs f when the scope ends otherwise.
template <class F>
struct on_success : detail::guard<F, detail::when::success> {
    using detail::guard<F, detail::when::success>::guard;
};
template <class F>
on_success(F) -> on_success<F>;

} // namespace ward

#endif
