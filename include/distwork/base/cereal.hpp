#pragma once

#include "requirements.hpp"

// Every header that needs cereal includes it through this one. Works are encoded and decoded on many threads, so cereal
// must lock its table of class versions, in every translation unit alike.
#ifndef CEREAL_THREAD_SAFE
#define CEREAL_THREAD_SAFE 1
#elif !CEREAL_THREAD_SAFE
#error "distwork needs CEREAL_THREAD_SAFE=1: define it for the whole program, or include distwork before cereal"
#endif

#include <cereal/cereal.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <string_view>

namespace distwork::detail {

template <class T>
consteval bool is_named_library() {
    std::string_view name = __PRETTY_FUNCTION__;  // "… [with T = std::vector<int>]"
    name.remove_prefix(name.find("T = ") + 4);
    return name.starts_with("std::") || name.starts_with("cereal::");
}

/// Whether T is a type of the standard library or of cereal. All other classes belong to users. Compilers spell type
/// names differently, but the beginnings agree.
template <class T>
inline constexpr bool is_library_type = is_named_library<std::remove_cv_t<T>>();

}  // namespace distwork::detail
