#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>

#include "detail/cereal.hpp"
#include "error.hpp"

namespace distwork {

/// What one body may cost the process that decodes it. The encoding side checks the same bounds, so that the sender
/// gets the error; both ends should have the same.
struct ArchiveLimits {
    std::size_t max_bytes = 64 * 1024 * 1024;    ///< of the encoded body
    std::size_t max_name_bytes = 256;            ///< of the name of a polymorphic type
    std::size_t max_depth = 256;                 ///< nesting of the users' own types
    std::size_t budget_base = 64 * 1024 * 1024;  ///< bytes of memory that any body may allocate,
    std::size_t budget_per_byte = 16;            ///< and for each byte of it so many more
};

namespace detail {

/// The bytes of memory that an element of a container costs, its node included.
template <class T>
consteval std::size_t element_cost() {
    if constexpr (requires { sizeof(typename T::value_type); }) {
        std::size_t cost = sizeof(typename T::value_type);
        if constexpr (requires {
                          typename T::iterator;
                          typename T::const_iterator;
                      }) {
            using Iterator = typename std::iterator_traits<typename T::const_iterator>;
            if constexpr (requires { typename Iterator::iterator_category; }) {
                using Category = typename Iterator::iterator_category;
                if (!std::is_base_of_v<std::random_access_iterator_tag, Category>) cost += 4 * sizeof(void*);
            }
        }
        return cost;
    } else {
        return 16;  // a user's own container: who writes a count does not say of what
    }
}

template <class T>
inline constexpr bool is_size_tag = false;
template <class T>
inline constexpr bool is_size_tag<cereal::SizeTag<T>> = true;

/// The type whose nesting is counted when an archive is given a T.
template <class T>
struct NestedType {
    using type = T;
};
template <class Archive, class T>
struct NestedType<cereal::memory_detail::LoadAndConstructLoadWrapper<Archive, T>> {
    using type = T;
};

/// Only the users' own types can nest as deep as data says: every recursion passes through a class.
template <class T>
inline constexpr bool is_nesting =
    std::is_class_v<typename NestedType<T>::type> && !is_library_type<typename NestedType<T>::type>;

/// Keeps the bounds of one body that do not depend on where its bytes are.
class ArchiveBounds {
public:
    static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

    ArchiveBounds(const ArchiveLimits& limits, std::uint64_t budget) noexcept : limits_{limits}, budget_{budget} {}

    const ArchiveLimits& limits() const noexcept { return limits_; }

    /// Before and after an object of type T.
    template <class T>
    void enter() {
        if constexpr (is_nesting<T>) {
            if (depth_ == limits_.max_depth) [[unlikely]]
                too_deep();
            ++depth_;
        }
        // A container's count is the first thing that it writes.
        if constexpr (std::is_class_v<T> && !is_size_tag<T>) element_cost_ = element_cost<T>();
    }
    template <class T>
    void leave() noexcept {
        if constexpr (is_nesting<T>) --depth_;
    }

    /// The container entered last has `count` elements; `count` is not beyond the bytes of a body.
    void charge_elements(std::uint64_t count) { charge(count * element_cost_); }

    /// Counts memory that decoding allocates.
    void charge(std::uint64_t bytes) {
        charged_ += bytes;
        if (charged_ > budget_) [[unlikely]]
            over_budget(budget_);
    }

    /// The budget of a body of `bytes` bytes.
    static std::uint64_t budget(const ArchiveLimits& limits, std::uint64_t bytes) noexcept {
        if (limits.budget_per_byte != 0 && bytes > (unlimited - limits.budget_base) / limits.budget_per_byte)
            return unlimited;
        return limits.budget_base + bytes * limits.budget_per_byte;
    }

    /// Where the body's length is known only at the end.
    void check_budget(std::uint64_t budget) const {
        if (charged_ > budget) over_budget(budget);
    }

    void check_name(std::uint64_t bytes) const {
        if (bytes > limits_.max_name_bytes)
            throw Error::with_text(Errc::too_large, "the name of a polymorphic type has " + std::to_string(bytes) +
                                                        " bytes, at most " + std::to_string(limits_.max_name_bytes) +
                                                        " may be");
    }

    [[noreturn]] void too_long(std::uint64_t bytes) const {
        throw Error::with_text(Errc::too_large, "a body of " + std::to_string(bytes) + " bytes is beyond " +
                                                    std::to_string(limits_.max_bytes) +
                                                    ", which max_frame_bytes allows");
    }

private:
    [[noreturn]] void too_deep() const {
        throw Error::with_text(
            Errc::too_large, "objects are nested deeper than max_depth, which is " + std::to_string(limits_.max_depth));
    }
    [[noreturn]] void over_budget(std::uint64_t budget) const {
        throw Error::with_text(Errc::too_large, "decoding takes " + std::to_string(charged_) +
                                                    " bytes of memory, the budget is " + std::to_string(budget));
    }

    ArchiveLimits limits_;
    std::uint64_t budget_;
    std::uint64_t charged_ = 0;
    std::uint64_t element_cost_ = 0;
    std::size_t depth_ = 0;
};

}  // namespace detail
}  // namespace distwork
