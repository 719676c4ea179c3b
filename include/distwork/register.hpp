#pragma once

/// \file
/// The macros that make works and functions known to a program.

#include "base/requirements.hpp"

#include <cereal/types/polymorphic.hpp>
#include <type_traits>

#include "archive/text_archives.hpp"
#include "archive/travels.hpp"
#include "calls/call_check.hpp"
#include "execution/work_functions.hpp"
#include "function_work.hpp"
#include "work.hpp"

// What `distwork_scope` names at global scope: see DISTWORK_DETAIL_REGISTER.
struct distwork_scope;

#define DISTWORK_DETAIL_JOIN_AGAIN(a, b) a##b
#define DISTWORK_DETAIL_JOIN(a, b) DISTWORK_DETAIL_JOIN_AGAIN(a, b)
#define DISTWORK_DETAIL_TEXT_AGAIN(a) #a
#define DISTWORK_DETAIL_TEXT(a) DISTWORK_DETAIL_TEXT_AGAIN(a)

// What a header registers is the same in every library that includes it; what a source file does is its library's own.
#define DISTWORK_DETAIL_HEADER_LINE (__INCLUDE_LEVEL__ == 0 ? "" : __FILE__ ":" DISTWORK_DETAIL_TEXT(__LINE__))

// What is wrong is said here, in one sentence, before cereal comes to it. `|| true`: the sentence stands in the template.
#define DISTWORK_DETAIL_CHECK_SCOPE(macro, text)                                           \
    struct distwork_scope;                                                                 \
    static_assert(::std::is_same_v<distwork_scope, ::distwork_scope>,                      \
                  "distwork: " macro "(" text                                              \
                  ") stands inside a namespace or class: move it to global scope, behind " \
                  "its end, and write the name with its namespace");
#define DISTWORK_DETAIL_CHECK_WORK(macro, text, ...)                                                                  \
    static_assert(::std::is_base_of_v<::distwork::IWork, __VA_ARGS__>,                                                \
                  "distwork: " macro "(" text                                                                         \
                  ") takes a class that is derived from distwork::IWork; a function is "                              \
                  "registered with DISTWORK_REGISTER_FUNCTION");                                                      \
    static_assert(!::std::is_abstract_v<__VA_ARGS__>,                                                                 \
                  "distwork: " text " is abstract: override execute, or execute_work where it is an RpcWork");        \
    static_assert(::distwork::detail::is_saved<__VA_ARGS__> && ::distwork::detail::is_loaded<__VA_ARGS__>,            \
                  "distwork: " text " cannot be serialized: give it a serialize member, or one save and one load");   \
    static_assert(::distwork::detail::ValueOf<__VA_ARGS__, ::distwork::detail::result_of_t<__VA_ARGS__>>::is_right || \
                  true);
#define DISTWORK_DETAIL_CHECK_FUNCTION(...) \
    static_assert(::distwork::detail::CheckedFunction<__VA_ARGS__>::is_right() || true);

// Cereal's macros take no commas: they get another name of the class. Our own objects are in an anonymous namespace:
// each translation unit registers, the table takes the type once. An inline variable named by its line would be merged
// with another header's of the same line, and one of the two types silently lost.
#define DISTWORK_DETAIL_REGISTER(name, bind, id, ...)                                                  \
    using DISTWORK_DETAIL_JOIN(distwork_registered_, id) = __VA_ARGS__;                                \
    bind(::DISTWORK_DETAIL_JOIN(distwork_registered_, id), name) CEREAL_REGISTER_POLYMORPHIC_RELATION( \
        ::distwork::IWork, ::DISTWORK_DETAIL_JOIN(distwork_registered_, id)) namespace {               \
        [[maybe_unused]] const ::distwork::detail::Registration<__VA_ARGS__> DISTWORK_DETAIL_JOIN(     \
            distwork_registration_, id){name, DISTWORK_DETAIL_HEADER_LINE};                            \
    }

// Instead of CEREAL_REGISTER_TYPE_WITH_NAME: binds a type to our two archives, and to no others that were included.
#define DISTWORK_DETAIL_BIND_TO_WIRE(T, Name)                       \
    namespace cereal {                                              \
    namespace detail {                                              \
    template <>                                                     \
    struct binding_name<T> {                                        \
        static constexpr char const* name() { return Name; }        \
    };                                                              \
    template <>                                                     \
    struct init_binding<T> {                                        \
        static inline const ::distwork::detail::WireBinding<T> b{}; \
    };                                                              \
    }                                                               \
    }

#define DISTWORK_DETAIL_REGISTER_WORK(macro, text, name, bind, ...) \
    DISTWORK_DETAIL_CHECK_SCOPE(macro, text)                        \
    DISTWORK_DETAIL_CHECK_WORK(macro, text, __VA_ARGS__)            \
    DISTWORK_DETAIL_REGISTER(name, bind, __COUNTER__, __VA_ARGS__)

#define DISTWORK_DETAIL_REGISTER_FUNCTION(macro, text, name, bind, ...) \
    DISTWORK_DETAIL_CHECK_SCOPE(macro, text)                            \
    DISTWORK_DETAIL_CHECK_FUNCTION(__VA_ARGS__)                         \
    DISTWORK_DETAIL_REGISTER(name, bind, __COUNTER__, ::distwork::FunctionWork<__VA_ARGS__>)

/// Makes a class derived from IWork known, under its name as written. At global scope, in the header that defines the
/// class, in both programs. The class can then be saved and loaded through a `std::unique_ptr<IWork>` by our archives
/// and by each of cereal's that was included before.
#define DISTWORK_REGISTER_WORK(...)                                                     \
    DISTWORK_DETAIL_REGISTER_WORK("DISTWORK_REGISTER_WORK", #__VA_ARGS__, #__VA_ARGS__, \
                                  CEREAL_REGISTER_TYPE_WITH_NAME, __VA_ARGS__)

/// The same under a name of its own, which both programs spell alike: `DISTWORK_REGISTER_WORK_AS("resize", app::Resize)`.
/// At most 256 bytes.
#define DISTWORK_REGISTER_WORK_AS(name, ...)                                                                       \
    DISTWORK_DETAIL_REGISTER_WORK("DISTWORK_REGISTER_WORK_AS", #__VA_ARGS__, name, CEREAL_REGISTER_TYPE_WITH_NAME, \
                                  __VA_ARGS__)

/// The same as DISTWORK_REGISTER_WORK for our archives alone: for a class that cereal's others cannot save. Where
/// <cereal/archives/json.hpp> or xml.hpp was included, those are works with `cereal::binary_data` or wide strings.
#define DISTWORK_REGISTER_WORK_WIRE_ONLY(...)                                                     \
    DISTWORK_DETAIL_REGISTER_WORK("DISTWORK_REGISTER_WORK_WIRE_ONLY", #__VA_ARGS__, #__VA_ARGS__, \
                                  DISTWORK_DETAIL_BIND_TO_WIRE, __VA_ARGS__)

/// Makes a plain function callable by `async_call<function>(arguments…)`, under its name as written. At global scope.
/// See FunctionWork for what it may take and return.
#define DISTWORK_REGISTER_FUNCTION(...)                                                         \
    DISTWORK_DETAIL_REGISTER_FUNCTION("DISTWORK_REGISTER_FUNCTION", #__VA_ARGS__, #__VA_ARGS__, \
                                      CEREAL_REGISTER_TYPE_WITH_NAME, &__VA_ARGS__)

/// The same for one of several overloads: `DISTWORK_REGISTER_FUNCTION_AS(name, static_cast<int (*)(int)>(&f))` defines
/// the constant `name`, to be called by `async_call<name>(arguments…)`.
#define DISTWORK_REGISTER_FUNCTION_AS(name, ...)                                                                     \
    inline constexpr auto name = __VA_ARGS__;                                                                        \
    DISTWORK_DETAIL_REGISTER_FUNCTION("DISTWORK_REGISTER_FUNCTION_AS", #name, #name, CEREAL_REGISTER_TYPE_WITH_NAME, \
                                      name)

/// The same as DISTWORK_REGISTER_FUNCTION for our archives alone: see DISTWORK_REGISTER_WORK_WIRE_ONLY.
#define DISTWORK_REGISTER_FUNCTION_WIRE_ONLY(...)                                                         \
    DISTWORK_DETAIL_REGISTER_FUNCTION("DISTWORK_REGISTER_FUNCTION_WIRE_ONLY", #__VA_ARGS__, #__VA_ARGS__, \
                                      DISTWORK_DETAIL_BIND_TO_WIRE, &__VA_ARGS__)
