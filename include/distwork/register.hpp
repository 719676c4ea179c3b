#pragma once

/// \file
/// The macros that register works and functions with a program.

#include "base/requirements.hpp"

#include <cereal/types/polymorphic.hpp>
#include <type_traits>

#include "archive/text_archives.hpp"
#include "archive/travels.hpp"
#include "calls/call_check.hpp"
#include "execution/work_functions.hpp"
#include "function_work.hpp"
#include "work.hpp"

// `distwork_scope` means this class at global scope only: see DISTWORK_DETAIL_CHECK_SCOPE.
struct distwork_scope;

#define DISTWORK_DETAIL_JOIN_AGAIN(a, b) a##b
#define DISTWORK_DETAIL_JOIN(a, b) DISTWORK_DETAIL_JOIN_AGAIN(a, b)
#define DISTWORK_DETAIL_TEXT_AGAIN(a) #a
#define DISTWORK_DETAIL_TEXT(a) DISTWORK_DETAIL_TEXT_AGAIN(a)

// A registration in a header is the same in every library that includes the header. One in a source file belongs to its
// library alone; its line is empty.
#define DISTWORK_DETAIL_HEADER_LINE (__INCLUDE_LEVEL__ == 0 ? "" : __FILE__ ":" DISTWORK_DETAIL_TEXT(__LINE__))

// Reports mistakes in one sentence, before cereal's own errors. `|| true`: the sentence is in the template's
// static_assert.
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

// Cereal's macros take no commas, so they get an alias of the class. The registration objects are in an anonymous
// namespace: each translation unit registers, and the table takes each type once. An inline variable named after its
// line would be merged with that of the same line in another header, and one of the two types would be lost silently.
#define DISTWORK_DETAIL_REGISTER(name, bind, id, ...)                                                  \
    using DISTWORK_DETAIL_JOIN(distwork_registered_, id) = __VA_ARGS__;                                \
    bind(::DISTWORK_DETAIL_JOIN(distwork_registered_, id), name) CEREAL_REGISTER_POLYMORPHIC_RELATION( \
        ::distwork::IWork, ::DISTWORK_DETAIL_JOIN(distwork_registered_, id)) namespace {               \
        [[maybe_unused]] const ::distwork::detail::Registration<__VA_ARGS__> DISTWORK_DETAIL_JOIN(     \
            distwork_registration_, id){name, DISTWORK_DETAIL_HEADER_LINE};                            \
    }

// Replaces CEREAL_REGISTER_TYPE_WITH_NAME: binds a type to the two archives of this library, and to no others.
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

/// Registers a class derived from IWork, under its name as it is written here. Use it at global scope, in the header
/// that defines the class, in both programs. Through a `std::unique_ptr<IWork>` the class can then be saved and loaded
/// by the archives of this library, and by those of cereal whose headers were included before.
#define DISTWORK_REGISTER_WORK(...)                                                     \
    DISTWORK_DETAIL_REGISTER_WORK("DISTWORK_REGISTER_WORK", #__VA_ARGS__, #__VA_ARGS__, \
                                  CEREAL_REGISTER_TYPE_WITH_NAME, __VA_ARGS__)

/// The same under another name, of at most 256 bytes, which both programs must spell alike:
/// `DISTWORK_REGISTER_WORK_AS("resize", app::Resize)`.
#define DISTWORK_REGISTER_WORK_AS(name, ...)                                                                       \
    DISTWORK_DETAIL_REGISTER_WORK("DISTWORK_REGISTER_WORK_AS", #__VA_ARGS__, name, CEREAL_REGISTER_TYPE_WITH_NAME, \
                                  __VA_ARGS__)

/// The same as DISTWORK_REGISTER_WORK, but only for the archives of this library. For classes that cereal's other
/// archives cannot save: with <cereal/archives/json.hpp> or xml.hpp included, works with `cereal::binary_data` or wide
/// strings.
#define DISTWORK_REGISTER_WORK_WIRE_ONLY(...)                                                     \
    DISTWORK_DETAIL_REGISTER_WORK("DISTWORK_REGISTER_WORK_WIRE_ONLY", #__VA_ARGS__, #__VA_ARGS__, \
                                  DISTWORK_DETAIL_BIND_TO_WIRE, __VA_ARGS__)

/// Registers a plain function for `async_call<function>(arguments…)`, under its name as it is written here. Use it at
/// global scope. FunctionWork tells what the function may take and return.
#define DISTWORK_REGISTER_FUNCTION(...)                                                         \
    DISTWORK_DETAIL_REGISTER_FUNCTION("DISTWORK_REGISTER_FUNCTION", #__VA_ARGS__, #__VA_ARGS__, \
                                      CEREAL_REGISTER_TYPE_WITH_NAME, &__VA_ARGS__)

/// The same for one of several overloads: `DISTWORK_REGISTER_FUNCTION_AS(name, static_cast<int (*)(int)>(&f))` defines
/// the constant `name`, which is called by `async_call<name>(arguments…)`.
#define DISTWORK_REGISTER_FUNCTION_AS(name, ...)                                                                     \
    inline constexpr auto name = __VA_ARGS__;                                                                        \
    DISTWORK_DETAIL_REGISTER_FUNCTION("DISTWORK_REGISTER_FUNCTION_AS", #name, #name, CEREAL_REGISTER_TYPE_WITH_NAME, \
                                      name)

/// The same as DISTWORK_REGISTER_FUNCTION, but only for the archives of this library: see
/// DISTWORK_REGISTER_WORK_WIRE_ONLY.
#define DISTWORK_REGISTER_FUNCTION_WIRE_ONLY(...)                                                         \
    DISTWORK_DETAIL_REGISTER_FUNCTION("DISTWORK_REGISTER_FUNCTION_WIRE_ONLY", #__VA_ARGS__, #__VA_ARGS__, \
                                      DISTWORK_DETAIL_BIND_TO_WIRE, &__VA_ARGS__)
