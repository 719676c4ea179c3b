#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "../log.hpp"

namespace distwork::detail {

/// The shortest text that reads back as the same number.
template <class Number>
std::string number_text(Number number) {
    char digits[32];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
    return {std::begin(digits), end};
}

/// Writes JSON (RFC 8259), without spaces or line breaks.
///
/// Texts may come from peers. Control characters, characters that turn the direction of writing, and bytes that are no
/// UTF-8 are written as a log does, as the four letters `\x1b`; `<` is escaped, so that no text ends an element of HTML.
class JsonWriter {
public:
    JsonWriter& begin_object() { return punctuate('{'); }
    JsonWriter& end_object() { return text_ += '}', *this; }
    JsonWriter& begin_array() { return punctuate('['); }
    JsonWriter& end_array() { return text_ += ']', *this; }

    JsonWriter& key(std::string_view name) {
        value(name);
        return text_ += ':', *this;
    }

    JsonWriter& value(std::string_view text) {
        punctuate('"');
        for (const char letter : escaped(text)) {
            if (letter == '<') text_ += "\\u003c";
            else if (letter == '"' || letter == '\\') (text_ += '\\') += letter;
            else text_ += letter;
        }
        return text_ += '"', *this;
    }
    JsonWriter& value(const std::string& text) { return value(std::string_view{text}); }
    JsonWriter& value(const char* text) { return value(std::string_view{text}); }
    JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
    JsonWriter& value(std::integral auto number) { return raw(number_text(number)); }
    /// JSON has no infinity: what is not finite is null.
    JsonWriter& value(double number) { return std::isfinite(number) ? raw(number_text(number)) : null(); }
    JsonWriter& null() { return raw("null"); }

    template <class Value>
    JsonWriter& member(std::string_view name, const Value& it) {
        return key(name).value(it);
    }

    std::string take() noexcept { return std::move(text_); }

private:
    JsonWriter& raw(std::string_view text) {
        punctuate(text.front());
        text_ += text.substr(1);
        return *this;
    }

    /// Appends the first letter of a value or a key, after a comma where one belongs. No text ends with a bracket or a colon:
    /// it ends with a quotation mark.
    JsonWriter& punctuate(char first) {
        if (!text_.empty() && text_.back() != '{' && text_.back() != '[' && text_.back() != ':') text_ += ',';
        text_ += first;
        return *this;
    }

    std::string text_;
};

}  // namespace distwork::detail
