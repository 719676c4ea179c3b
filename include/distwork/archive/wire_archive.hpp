#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeindex>
#include <utility>

#include "../base/cereal.hpp"
#include "../base/separate.hpp"
#include "../error.hpp"
#include "../wire/byte_buffer.hpp"
#include "archive_bounds.hpp"
#include "scalars.hpp"
#include "travels.hpp"

// Two cereal archives over memory, for bytes from peers that are not trusted. They accept what cereal's own types/*.hpp
// serialize through its binary archive, except several shared pointers to one object (Errc::shared_pointer).
//
// | value | bytes |
// | --- | --- |
// | integers, `float`, `double`, enums | as many as in memory, little-endian |
// | `bool` | 1: 0 or 1 |
// | `long double` | 16: IEC 559 binary128, little-endian |
// | containers, strings | count u64, then the elements |
// | everything else | what cereal's types/*.hpp save, without names |
//
// `long`, `std::size_t` and `wchar_t` can be exchanged only between machines where they have the same width. Elsewhere
// the fingerprints of the types differ, so such types are not exchanged.
//
// The count of a container does not exceed the bytes that follow it in the body. There is one exception: elements that
// may take no bytes, such as objects of an empty class. A body has at most `max_elements` elements in containers whose
// count exceeds the bytes that follow. Both sides refuse the same bodies; the output side makes its last checks in
// finish().

namespace distwork::detail {

/// Encodes one body and appends it to a buffer. Each body needs a new archive.
///
/// *Lifetime*: the buffer must outlive the archive. *Errors*: Error (too_large, shared_pointer); what was appended
/// before the error is not a valid body.
class WireOutputArchive : public cereal::OutputArchive<WireOutputArchive, cereal::AllowEmptyClassElision> {
    using Base = cereal::OutputArchive<WireOutputArchive, cereal::AllowEmptyClassElision>;

public:
    explicit WireOutputArchive(ByteBuffer& buffer, const ArchiveLimits& limits = ArchiveLimits{})
        : Base{this}, buffer_{buffer}, start_{buffer.size()}, bounds_{limits, ArchiveBounds::unlimited} {}

    /// Makes the checks that need the complete body. To be called once, after the last value.
    void finish() const {
        if (size() < reach_)
            throw Error::with_text(Errc::too_large,
                                   "a container's count exceeds the bytes that follow it: its elements take no bytes");
        if (!counts_.empty()) [[unlikely]]
            bounds_.check_elements(counts_.beyond(size()));
        bounds_.check_budget_of(size());
    }

    /// The number of bytes encoded so far.
    std::size_t size() const noexcept { return buffer_.size() - start_; }

    /// Appends `count` bytes for the caller to fill in.
    std::byte* extend(std::size_t count) {
        if (count > bounds_.limits().max_bytes - size()) [[unlikely]]
            bounds_.too_long(std::uint64_t{size()} + count);
        return buffer_.extend(count);
    }

    void write(const void* from, std::size_t count) {
        if (count != 0) std::memcpy(extend(count), from, count);
    }

    /// Notes that the container that was entered last has written its count.
    void note_count(std::uint64_t count) {
        if (bounds_.elements_may_take_none()) [[unlikely]]
            return note_open_count(count);
        if (count > bounds_.limits().max_bytes) [[unlikely]]
            bounds_.too_long(count);
        reach_ = std::max(reach_, size() + static_cast<std::size_t>(count));
        bounds_.charge_elements(count);
    }

    ArchiveBounds& bounds() noexcept { return bounds_; }

    /// Called by cereal; hides the function of the base, which would encode a second pointer to an object as a
    /// reference to the first. A pointer of another type to the same address refers to another object: the first member
    /// of the first.
    template <class T>
    std::uint32_t registerSharedPointer(const std::shared_ptr<T>& pointer) {
        return pointer ? note_shared(pointer.get(), typeid(T), pointer) : 0;
    }

    /// Returns what precedes an object behind a std::shared_ptr, which is kept alive by `owner`.
    std::uint32_t note_shared(const void* object, std::type_index type, std::shared_ptr<const void> owner);

private:
    /// The objects behind shared pointers. They are kept alive so that their addresses are not used again.
    using Shared = std::map<std::pair<const void*, std::type_index>, std::shared_ptr<const void>>;

    void note_open_count(std::uint64_t count);

    ByteBuffer& buffer_;
    const std::size_t start_;
    std::size_t reach_ = 0;  // the length that the body must reach for its counts to be valid, except those in counts_
    OpenCounts counts_;
    std::unique_ptr<Shared> shared_;  // null in most bodies
    ArchiveBounds bounds_;
};

/// Decodes one body. Whatever the bytes are, it does not read beyond their end, allocate beyond its budget, or recurse
/// without bound. Each body needs a new archive.
///
/// *Lifetime*: the bytes must outlive the archive. *Errors*: Error (malformed, too_large); cereal's own types also
/// throw other exceptions, all derived from std::exception.
class WireInputArchive : public cereal::InputArchive<WireInputArchive, cereal::AllowEmptyClassElision> {
    using Base = cereal::InputArchive<WireInputArchive, cereal::AllowEmptyClassElision>;

public:
    explicit WireInputArchive(std::span<const std::byte> body, const ArchiveLimits& limits = ArchiveLimits{})
        : Base{this},
          at_{body.data()},
          end_{body.data() + body.size()},
          bounds_{limits, ArchiveBounds::budget(limits, body.size())} {
        if (body.size() > limits.max_bytes) bounds_.too_long(body.size());
    }

    /// Throws Error (malformed) if bytes are left. To be called once, after the last value.
    void finish() const {
        if (at_ != end_) [[unlikely]]
            throw_left();
    }

    std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

    /// Consumes the next `count` bytes. Throws Error (malformed) if there are fewer.
    const std::byte* take(std::uint64_t count) {
        if (count > left()) [[unlikely]]
            throw_short(count);
        const std::byte* const from = at_;
        at_ += static_cast<std::size_t>(count);
        return from;
    }

    void read(void* to, std::size_t count) {
        const std::byte* const from = take(count);
        if (count != 0) std::memcpy(to, from, count);
    }

    template <class T>
    T read_scalar() {
        const std::byte* const from = take(wire_bytes<T>);
        if constexpr (std::is_same_v<T, bool>) {
            if (*from > std::byte{1}) [[unlikely]]
                throw_bool();
            return *from == std::byte{1};
        } else {
            return load_scalar<T>(from);
        }
    }

    /// Checks the count of the container that was entered last.
    void check_count(std::uint64_t count) {
        if (count > left()) [[unlikely]]
            take_count_beyond_bytes(count);
        bounds_.charge_elements(count);
    }

    ArchiveBounds& bounds() noexcept { return bounds_; }
    const ArchiveBounds& bounds() const noexcept { return bounds_; }

    [[noreturn]] void throw_hash_steps() const;

private:
    void take_count_beyond_bytes(std::uint64_t count);
    [[noreturn]] void throw_short(std::uint64_t count) const;
    [[noreturn]] void throw_left() const;
    [[noreturn]] static void throw_bool();

    const std::byte* at_;
    const std::byte* end_;
    ArchiveBounds bounds_;
};

// Cereal calls these functions before and after every object that is passed to an archive.
template <class T>
void prologue(WireOutputArchive& archive, const T&) {
    static_cast<void>(SavedMember<T>{});
    archive.bounds().enter<T>();
}
template <class T>
void epilogue(WireOutputArchive& archive, const T&) {
    archive.bounds().leave<T>();
}
template <class T>
void prologue(WireInputArchive& archive, const T&) {
    static_cast<void>(LoadedMember<T>{});
    archive.bounds().enter<T>();
}
template <class T>
void epilogue(WireInputArchive& archive, const T&) {
    archive.bounds().leave<T>();
}

// Scalars
template <class T>
requires std::is_arithmetic_v<T>
void save(WireOutputArchive& archive, const T& value) {
    store_scalar(archive.extend(wire_bytes<T>), value);
}
template <class T>
requires std::is_arithmetic_v<T>
void load(WireInputArchive& archive, T& value) {
    value = archive.read_scalar<T>();
}

// The names of values are not encoded. The name "polymorphic_name" tells that the value is the name of a type.
template <class T>
void serialize(WireOutputArchive& archive, cereal::NameValuePair<T>& pair) {
    if constexpr (std::is_same_v<std::remove_cvref_t<T>, std::string>)
        if (pair.name == std::string_view{"polymorphic_name"}) archive.bounds().check_name(pair.value.size());
    archive(pair.value);
}
template <class T>
void serialize(WireInputArchive& archive, cereal::NameValuePair<T>& pair) {
    if constexpr (std::is_same_v<std::remove_cvref_t<T>, std::string>) {
        if (pair.name == std::string_view{"polymorphic_name"}) {
            const auto bytes = archive.read_scalar<std::uint64_t>();
            archive.bounds().check_name(bytes);
            archive.bounds().charge(bytes);
            pair.value.assign(reinterpret_cast<const char*>(archive.take(bytes)), static_cast<std::size_t>(bytes));
            return;
        }
    }
    archive(pair.value);
}

// Counts of containers
template <class T>
void serialize(WireOutputArchive& archive, cereal::SizeTag<T>& tag) {
    archive(tag.size);
    archive.note_count(static_cast<std::uint64_t>(tag.size));
}
template <class T>
void serialize(WireInputArchive& archive, cereal::SizeTag<T>& tag) {
    archive(tag.size);
    archive.check_count(static_cast<std::uint64_t>(tag.size));
}

}  // namespace distwork::detail

#include "archive_bytes.hpp"
#include "archive_containers.hpp"
#include "archive_pointers.hpp"
#include "archive_polymorphic.hpp"
#include "work_caster.hpp"

CEREAL_REGISTER_ARCHIVE(distwork::detail::WireOutputArchive)
CEREAL_REGISTER_ARCHIVE(distwork::detail::WireInputArchive)
CEREAL_SETUP_ARCHIVE_TRAITS(distwork::detail::WireInputArchive, distwork::detail::WireOutputArchive)

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/wire_archive.ipp"
#endif
