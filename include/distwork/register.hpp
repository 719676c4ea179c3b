#pragma once

#include "detail/requirements.hpp"

#include <array>
#include <cereal/types/polymorphic.hpp>
#include <exception>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "archive.hpp"
#include "context.hpp"
#include "detail/call_check.hpp"
#include "detail/text_archives.hpp"
#include "detail/travels.hpp"
#include "fingerprint.hpp"
#include "registry.hpp"
#include "rpc_work.hpp"

namespace distwork::detail {

/// A fresh object of a work class, in place where its constructor is public, else as cereal::access makes it.
template <class Work>
class Fresh {
    static constexpr bool in_place = std::is_default_constructible_v<Work>;

public:
    Fresh() {
        if constexpr (!in_place) work_.reset(cereal::access::construct<Work>());
    }
    Work& operator*() {
        if constexpr (in_place) return work_;
        else return *work_;
    }

private:
    std::conditional_t<in_place, Work, std::unique_ptr<Work>> work_;
};

/// The functions behind one WorkType: the only code that knows the class.
template <class Work>
struct WorkFunctions {
    using Result = result_of_t<Work>;

    /// The work's shape and its value's; two peers exchange works only where both agree.
    static std::uint64_t fingerprint() { return distwork::fingerprint<Work>() * 31 + distwork::fingerprint<Result>(); }
    static std::array<const TypeShape*, 2> shapes() { return {&shape_of<Work>(), &shape_of<Result>()}; }

    static std::unique_ptr<IWork> decode(std::span<const std::byte> body, const ArchiveLimits& limits) {
        std::unique_ptr<Work> work{cereal::access::construct<Work>()};
        detail::decode(body, *work, limits);
        return work;
    }

    static void encode(const IWork& work, ByteBuffer& body, const ArchiveLimits& limits) {
        encode_value(static_cast<const Work&>(work), body, limits);
    }

    static std::exception_ptr execute(std::span<const std::byte> body, Context& peer, ByteBuffer& answer,
                                      const ArchiveLimits& limits) {
        Fresh<Work> work;
        detail::decode(body, *work, limits);
        if constexpr (std::is_void_v<Result>) {  // plain works, and RpcWork<void>
            try {
                static_cast<IWork&>(*work).execute(peer);
            } catch (...) {
                return std::current_exception();
            }
        } else {
            Result value;
            try {
                value = static_cast<RpcWork<Result>&>(*work).execute_work(peer);
            } catch (...) {
                return std::current_exception();
            }
            return encode_result(value, answer, limits);
        }
        return nullptr;
    }

    /// What the serialization of the value throws is the work's own as well, but for what our archive refuses.
    template <class Value>
    static std::exception_ptr encode_result(const Value& value, ByteBuffer& answer, const ArchiveLimits& limits) {
        try {
            encode_value(value, answer, limits);
        } catch (const Error&) {
            throw;
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }

    static asio::awaitable<std::exception_ptr> execute_async(std::span<const std::byte> body, Context& peer,
                                                             ByteBuffer& answer, const ArchiveLimits& limits) {
        Fresh<Work> work;
        detail::decode(body, *work, limits);
        std::exception_ptr thrown;
        if constexpr (std::is_void_v<Result>) {
            try {
                co_await static_cast<CoroutineWork<Result>&>(*work).execute_work(peer);
            } catch (...) {
                thrown = std::current_exception();
            }
        } else {
            Result value{};
            try {
                value = co_await static_cast<CoroutineWork<Result>&>(*work).execute_work(peer);
            } catch (...) {
                thrown = std::current_exception();
            }
            if (!thrown) thrown = encode_result(value, answer, limits);
        }
        co_return thrown;
    }

    static void execute_return(IWork& work, std::span<const std::byte> bytes, Context& peer,
                               const ArchiveLimits& limits) {
        auto& original = static_cast<Returning<Result>&>(static_cast<Work&>(work));
        if constexpr (std::is_void_v<Result>) {
            original.execute_return(peer);
        } else {
            Result value{};
            detail::decode(bytes, value, limits);
            original.execute_return(value, peer);
        }
    }

    static WorkType describe(const char* name) {
        WorkType type;
        type.name = name;
        type.type = &typeid(Work);
        type.fingerprint = &fingerprint;
        type.shapes = &shapes;
        type.encode = &encode;
        type.decode = &decode;
        if constexpr (coroutine_work<Work>) type.execute_async = &execute_async;
        else type.execute = &execute;
        if constexpr (overrides_execute_return<Work>) type.execute_return = &execute_return;
        return type;
    }
};

template <class Work>
struct Registration {
    explicit Registration(const char* name, const char* header_line = "") {
        WorkType type = WorkFunctions<Work>::describe(name);
        type.header_line = header_line;
        registered_type<Work> = &Registry::instance().add(std::move(type));
    }
};

/// Binds a class to our two archives, as CEREAL_BIND_TO_ARCHIVES binds it to all.
template <class Work>
struct WireBinding {
    WireBinding() {
        using namespace cereal::detail;
        create_bindings<WireOutputArchive, Work>::save(std::true_type{});
        create_bindings<WireInputArchive, Work>::load(std::true_type{});
    }
};

}  // namespace distwork::detail

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
