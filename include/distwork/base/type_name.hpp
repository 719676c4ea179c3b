#pragma once

#include "requirements.hpp"

#include <exception>
#include <string>
#include <typeinfo>

#include "separate.hpp"

namespace distwork::detail {

/// The type's name as its source spells it, if the compiler can tell.
DISTWORK_DECL std::string type_name(const std::type_info& type);

struct ExceptionText {
    std::string type;
    std::string text;
};

/// The type name and the what() of an exception, to be sent to the caller. what() or a thrown text may be a null
/// pointer: a thrown nullptr is caught as a null `const char*`.
DISTWORK_DECL ExceptionText describe(const std::exception_ptr& exception);

/// The text of an exception; the name of its type if it has no text.
DISTWORK_DECL std::string what_of(const std::exception_ptr& exception);

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/type_name.ipp"
#endif
