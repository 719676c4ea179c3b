#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../archive_limits.hpp"
#include "../base/cereal.hpp"
#include "../base/separate.hpp"

namespace distwork::detail {

/// The bytes on the heap that an empty container owns. libstdc++'s std::deque has a block of 512 bytes and a table of
/// eight blocks.
template <class T>
inline constexpr std::size_t empty_cost = 0;
template <class T, class Allocator>
inline constexpr std::size_t empty_cost<std::deque<T, Allocator>> = 512 + 8 * sizeof(void*);

/// Whether cereal constructs all elements of a T before it decodes the first, and each of them may own memory then:
/// std::forward_list and std::valarray of classes. Other sequences: see archive_containers.hpp.
template <class T>
consteval bool is_constructed_ahead() {
    if constexpr (requires { typename T::value_type; }) {
        constexpr bool is_chain = requires(T & container) {
            container.before_begin();
        };
        constexpr bool is_array = !requires {
            typename T::iterator;
        }
        &&requires(T & container) {
            container.cshift(1);
        };
        using Element = typename T::value_type;
        const bool may_own = empty_cost<Element> != 0 || (std::is_class_v<Element> && !is_library_type<Element>);
        return (is_chain || is_array) && may_own && !std::is_trivially_default_constructible_v<Element>;
    } else {
        return false;
    }
}
template <class T>
inline constexpr bool constructs_ahead = is_constructed_ahead<T>();

/// The bytes of memory that one element of a container costs, including its node.
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
        if constexpr (constructs_ahead<T>) cost += empty_cost<std::deque<char>>;
        return cost;
    } else {
        return 16;  // a user's own container: the type of its elements is not known
    }
}

/// The bytes of memory that an object on the heap costs.
template <class T>
inline constexpr std::size_t heap_cost = sizeof(T) + 2 * sizeof(void*);

/// Whether every T takes at least one byte, whatever its value. False for a user's class, where this is not known.
template <class T>
consteval bool takes_bytes() {
    if constexpr (std::is_array_v<T>) {
        return takes_bytes<std::remove_all_extents_t<T>>();
    } else if constexpr (!std::is_class_v<T>) {
        return true;
    } else if constexpr (!is_library_type<T>) {
        return false;
    } else if constexpr (requires { std::tuple_size<T>::value; }) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return (takes_bytes<std::remove_cv_t<std::tuple_element_t<I, T>>>() || ... || false);
        }
        (std::make_index_sequence<std::tuple_size<T>::value>{});
    } else {
        return !std::is_empty_v<T>;
    }
}

/// What is known about the elements of a container.
struct Elements {
    std::uint64_t cost;  ///< bytes of memory for each element
    bool may_take_none;  ///< an element may take no bytes of the body
};
template <class T>
consteval Elements elements_of() {
    if constexpr (requires { sizeof(typename T::value_type); })
        return {element_cost<T>(), !takes_bytes<typename T::value_type>()};
    else return {element_cost<T>(), true};
}
template <class T>
inline constexpr Elements elements = elements_of<T>();

inline constexpr Elements no_elements{0, true};

/// The open counts of a body: counts of elements that may take no bytes, as long as fewer bytes follow than the count.
class OpenCounts {
public:
    /// Adds the count of a container that was written when the body had `size` bytes.
    void add(std::uint64_t size, std::uint64_t count) {
        while (!more_.empty() && more_.back().until <= size) more_.pop_back();
        (more_.empty() && first_.until <= size ? first_ : more_.emplace_back()) = {size + count, count};
    }

    bool empty() const noexcept { return first_.until == 0; }

    /// The sum of the counts that are still open in a complete body of `size` bytes.
    std::uint64_t beyond(std::uint64_t size) const noexcept {
        std::uint64_t all = first_.until <= size ? 0 : first_.count;
        for (const Open& open : more_) all += open.until <= size ? 0 : open.count;
        return all;
    }

private:
    struct Open {
        std::uint64_t until = 0;
        std::uint64_t count = 0;
    };
    Open first_;  // most bodies have at most one
    std::vector<Open> more_;
};

template <class T>
inline constexpr bool is_size_tag = false;
template <class T>
inline constexpr bool is_size_tag<cereal::SizeTag<T>> = true;

/// The type whose nesting is counted when a T is passed to an archive.
template <class T>
struct NestedType {
    using type = T;
};
template <class Archive, class T>
struct NestedType<cereal::memory_detail::LoadAndConstructLoadWrapper<Archive, T>> {
    using type = T;
};

/// Whether the nesting of a T is counted. Only users' own classes can nest to a depth that the data decides: every
/// recursion passes through one of them.
template <class T>
inline constexpr bool is_nesting =
    std::is_class_v<typename NestedType<T>::type> && !is_library_type<typename NestedType<T>::type>;

/// Checks the bounds of one body that do not depend on where its bytes are: depth, memory, names, and elements that
/// take no bytes. The functions that check throw Error (too_large).
class ArchiveBounds {
public:
    static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

    ArchiveBounds(const ArchiveLimits& limits, std::uint64_t budget) noexcept : limits_{limits}, budget_{budget} {}

    const ArchiveLimits& limits() const noexcept { return limits_; }

    /// To be called before an object of type T, and `leave` behind it.
    template <class T>
    void enter() {
        if constexpr (is_nesting<T>) {
            if (depth_ == limits_.max_depth) [[unlikely]]
                too_deep();
            ++depth_;
        }
        // The first thing that a container writes is its count, so the last class entered is the container.
        if constexpr (std::is_class_v<T> && !is_size_tag<T>) elements_ = &elements<T>;
        if constexpr (requires { typename T::hasher; }) is_canonical_ = false;
        if constexpr (empty_cost<T> != 0) charge(empty_cost<T>);
    }
    template <class T>
    void leave() noexcept {
        if constexpr (is_nesting<T>) --depth_;
    }

    /// Whether equal values have equal bytes: no container was entered whose order depends on hashes.
    bool is_canonical() const noexcept { return is_canonical_; }

    /// Whether the elements of the container that was entered last may take no bytes.
    bool elements_may_take_none() const noexcept { return elements_->may_take_none; }

    /// Charges the memory for the `count` elements of that container. The caller has checked that `count` is at most
    /// the bytes of a body, or `max_elements`.
    void charge_elements(std::uint64_t count) { charge(count * elements_->cost); }

    /// Adds the elements of a container whose count exceeds the bytes that are left.
    void add_elements(std::uint64_t count) {
        check_elements(count);
        check_elements(beyond_ += count);
    }
    void check_elements(std::uint64_t count) const;

    /// Counts bytes of memory that decoding allocates.
    void charge(std::uint64_t bytes) {
        charged_ += bytes;
        if (charged_ > budget_) [[unlikely]]
            over_budget(budget_);
    }

    /// The memory, in bytes, that a body of `bytes` bytes may allocate.
    static std::uint64_t budget(const ArchiveLimits& limits, std::uint64_t bytes) noexcept {
        std::uint64_t budget = 0;
        const bool overflows = __builtin_mul_overflow(bytes, limits.budget_per_byte, &budget) ||
                               __builtin_add_overflow(budget, limits.budget_base, &budget);
        return overflows ? unlimited : budget;
    }

    /// Checks the memory counted so far against the budget of a body of `bytes` bytes. The encoding side calls this at
    /// the end, when the body's length is known.
    void check_budget_of(std::uint64_t bytes) const {
        if (charged_ != 0 && charged_ > budget(limits_, bytes)) [[unlikely]]
            over_budget(budget(limits_, bytes));
    }

    void check_name(std::uint64_t bytes) const;

    [[noreturn]] void too_long(std::uint64_t bytes) const;

private:
    [[noreturn]] void too_deep() const;
    [[noreturn]] void over_budget(std::uint64_t budget) const;

    ArchiveLimits limits_;
    std::uint64_t budget_;
    std::uint64_t charged_ = 0;
    std::uint64_t beyond_ = 0;  // elements for which there were no bytes
    const Elements* elements_ = &no_elements;
    std::size_t depth_ = 0;
    bool is_canonical_ = true;
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/archive_bounds.ipp"
#endif
