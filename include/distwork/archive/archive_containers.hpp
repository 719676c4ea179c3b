#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <valarray>
#include <vector>

#include "wire_archive.hpp"

// Containers that cereal loads in a way that foreign bytes can abuse. The bytes are the same as cereal's own.

namespace distwork::detail {

// Sequences of classes: cereal constructs all elements first. Objects of a class may allocate memory that nobody has
// charged yet: an empty std::deque owns more than half a KiB. So elements are made one by one, as they are decoded.

template <class Sequence>
void load_one_by_one(WireInputArchive& archive, Sequence& sequence) {
    cereal::size_type size;
    archive(cereal::make_size_tag(size));
    const auto count = static_cast<std::size_t>(size);
    if constexpr (requires { sequence.reserve(count); }) sequence.reserve(count);
    if (count < sequence.size()) sequence.resize(count);
    for (auto& element : sequence) archive(element);
    while (sequence.size() < count) archive(sequence.emplace_back());
}

template <class T, class Allocator>
requires(!std::is_arithmetic_v<T>) void load(WireInputArchive& archive, std::vector<T, Allocator>& vector) {
    load_one_by_one(archive, vector);
}
template <class T, class Allocator>
void load(WireInputArchive& archive, std::deque<T, Allocator>& deque) {
    load_one_by_one(archive, deque);
}
template <class T, class Allocator>
void load(WireInputArchive& archive, std::list<T, Allocator>& list) {
    load_one_by_one(archive, list);
}

// Containers that hash: the standard library's hashes have no secret, so a peer can choose keys that fall into one
// bucket, and inserting n of them takes n² steps.

/// Counts the elements that the keys of one container are compared with.
class HashSteps {
public:
    explicit HashSteps(const WireInputArchive& archive) noexcept : archive_{archive} {}

    /// The key is about to be inserted. *Errors*: Error (malformed).
    template <class Container>
    void count(const Container& container, const typename Container::key_type& key) {
        ++keys_;
        if (container.bucket_count() == 0) return;
        const std::size_t bucket = container.bucket(key);
        for (auto at = container.begin(bucket); at != container.end(bucket); ++at) {
            if (++steps_ > (keys_ + few) * archive_.bounds().limits().max_hash_steps) archive_.throw_hash_steps();
            if (container.key_eq()(key_of(*at), key)) return;
        }
    }

private:
    static constexpr std::uint64_t few = 16;

    template <class Key>
    static const Key& key_of(const Key& element) noexcept {
        return element;
    }
    template <class Key, class Mapped>
    static const Key& key_of(const std::pair<const Key, Mapped>& element) noexcept {
        return element.first;
    }

    const WireInputArchive& archive_;
    std::uint64_t keys_ = 0;
    std::uint64_t steps_ = 0;
};

template <class Container>
void load_hashed(WireInputArchive& archive, Container& container) {
    cereal::size_type size;
    archive(cereal::make_size_tag(size));
    container.clear();
    HashSteps steps{archive};
    // Behind an equal key another one is inserted at once; containers of unique keys have no use for such a hint.
    const auto insert = [&](typename Container::key_type& key, auto&&... mapped) {
        steps.count(container, key);
        using Inserted = decltype(container.emplace(std::move(key), std::move(mapped)...));
        if constexpr (std::is_same_v<Inserted, typename Container::iterator>)
            container.emplace_hint(container.find(key), std::move(key), std::move(mapped)...);
        else container.emplace(std::move(key), std::move(mapped)...);
    };
    for (cereal::size_type i = 0; i < size; ++i) {
        typename Container::key_type key;
        if constexpr (requires { typename Container::mapped_type; }) {
            typename Container::mapped_type value;
            archive(cereal::make_map_item(key, value));
            insert(key, value);
        } else {
            archive(key);
            insert(key);
        }
    }
}

template <class K, class V, class H, class E, class A>
void load(WireInputArchive& archive, std::unordered_map<K, V, H, E, A>& map) {
    load_hashed(archive, map);
}
template <class K, class V, class H, class E, class A>
void load(WireInputArchive& archive, std::unordered_multimap<K, V, H, E, A>& map) {
    load_hashed(archive, map);
}
template <class K, class H, class E, class A>
void load(WireInputArchive& archive, std::unordered_set<K, H, E, A>& set) {
    load_hashed(archive, set);
}
template <class K, class H, class E, class A>
void load(WireInputArchive& archive, std::unordered_multiset<K, H, E, A>& set) {
    load_hashed(archive, set);
}

// For an empty std::valarray, cereal would take the address of its first element.
template <class T>
requires std::is_arithmetic_v<T>
void save(WireOutputArchive& archive, const std::valarray<T>& values) {
    archive(cereal::make_size_tag(static_cast<cereal::size_type>(values.size())));
    if (values.size() != 0) archive(cereal::binary_data(&values[0], values.size() * sizeof(T)));
}
template <class T>
requires std::is_arithmetic_v<T>
void load(WireInputArchive& archive, std::valarray<T>& values) {
    cereal::size_type size;
    archive(cereal::make_size_tag(size));
    values.resize(static_cast<std::size_t>(size));
    if (size != 0) archive(cereal::binary_data(&values[0], static_cast<std::size_t>(size) * sizeof(T)));
}

}  // namespace distwork::detail
