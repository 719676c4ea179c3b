#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frame.hpp"

// Bodies of plain fields, for frames other than works and answers: integers and strings, without an archive.

namespace distwork::detail {

/// The maximum length on the wire of the names of types, slaves, works and labels.
inline constexpr std::size_t max_name_bytes = 256;

/// Appends integers and short strings to a body.
class PlainWriter {
public:
    template <class Unsigned>
    PlainWriter& put(Unsigned value) {
        std::byte bytes[sizeof value];
        store(bytes, value);
        body_.insert(body_.end(), bytes, bytes + sizeof value);
        return *this;
    }

    PlainWriter& raw(std::string_view text) {
        const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
        body_.insert(body_.end(), bytes, bytes + text.size());
        return *this;
    }

    PlainWriter& text(std::string_view text) {
        text = text.substr(0, max_name_bytes);
        return put(static_cast<std::uint16_t>(text.size())).raw(text);
    }

    std::vector<std::byte> take() { return std::move(body_); }

private:
    std::vector<std::byte> body_;
};

/// Reads the fields. A function returns false if the bytes are used up, or if a string is too long.
class PlainReader {
public:
    explicit PlainReader(std::span<const std::byte> body) : body_{body} {}

    template <class Unsigned>
    bool get(Unsigned& value) {
        if (body_.size() < sizeof value) return false;
        value = load<Unsigned>(body_.data());
        body_ = body_.subspan(sizeof value);
        return true;
    }

    /// `Text` is a std::string, or a std::string_view into the body.
    template <class Text>
    bool raw(Text& text, std::size_t count) {
        if (body_.size() < count) return false;
        text = Text{reinterpret_cast<const char*>(body_.data()), count};
        body_ = body_.subspan(count);
        return true;
    }

    template <class Text>
    bool text(Text& text) {
        std::uint16_t count = 0;
        return get(count) && count <= max_name_bytes && raw(text, count);
    }

    std::size_t left() const { return body_.size(); }
    bool at_end() const { return body_.empty(); }

private:
    std::span<const std::byte> body_;
};

}  // namespace distwork::detail
