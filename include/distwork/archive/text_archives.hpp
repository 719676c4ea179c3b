#pragma once

#include <string>
#include <type_traits>

#include "../base/cereal.hpp"

// Registration binds a class to every cereal archive that was included. The archives that write text have no form for
// some types that ours accept. The static_assert below says so in one sentence, instead of a list of overloads.

namespace distwork::detail {

template <class Archive, class T>
struct TextOf {
    static_assert(
        std::is_void_v<Archive>,  // never
        "distwork: cereal's JSON and XML archives cannot save cereal::binary_data and wide strings: register a "
        "work that has them with DISTWORK_REGISTER_WORK_WIRE_ONLY (a function with "
        "DISTWORK_REGISTER_FUNCTION_WIRE_ONLY), which leaves those archives out "
        "(see TextOf<the archive, what it cannot save>)");
};

}  // namespace distwork::detail

namespace cereal {

class JSONOutputArchive;
class XMLOutputArchive;

// Cereal calls these functions before it saves such a value.
#define DISTWORK_DETAIL_HAS_NO_TEXT(Archive)                                                                    \
    template <class T>                                                                                          \
    void prologue(Archive&, const BinaryData<T>&) {                                                             \
        static_cast<void>(distwork::detail::TextOf<Archive, BinaryData<T>>{});                                  \
    }                                                                                                           \
    template <class Traits, class Allocator>                                                                    \
    void prologue(Archive&, const std::basic_string<wchar_t, Traits, Allocator>&) {                             \
        static_cast<void>(distwork::detail::TextOf<Archive, std::basic_string<wchar_t, Traits, Allocator>>{});  \
    }                                                                                                           \
    template <class Traits, class Allocator>                                                                    \
    void prologue(Archive&, const std::basic_string<char16_t, Traits, Allocator>&) {                            \
        static_cast<void>(distwork::detail::TextOf<Archive, std::basic_string<char16_t, Traits, Allocator>>{}); \
    }                                                                                                           \
    template <class Traits, class Allocator>                                                                    \
    void prologue(Archive&, const std::basic_string<char32_t, Traits, Allocator>&) {                            \
        static_cast<void>(distwork::detail::TextOf<Archive, std::basic_string<char32_t, Traits, Allocator>>{}); \
    }
DISTWORK_DETAIL_HAS_NO_TEXT(JSONOutputArchive)
DISTWORK_DETAIL_HAS_NO_TEXT(XMLOutputArchive)
#undef DISTWORK_DETAIL_HAS_NO_TEXT

}  // namespace cereal
