#pragma once

#include <array>
#include <cereal/types/polymorphic.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "../archive/codec.hpp"
#include "../archive/fingerprint.hpp"
#include "../archive/wire_archive.hpp"
#include "../base/asio.hpp"
#include "../context.hpp"
#include "../error.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"
#include "../work.hpp"

namespace distwork::detail {

/// A new object of a work class. It is a member if the default constructor is public; otherwise cereal::access makes it
/// on the heap.
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

/// The operations of one class. Only this code knows it.
template <class Work>
struct WorkFunctions {
    using Result = result_of_t<Work>;

    /// Combines the fingerprints of the work and of its result. Two peers exchange works of a type only if both are
    /// equal.
    static std::uint64_t fingerprint() { return distwork::fingerprint<Work>() * 31 + distwork::fingerprint<Result>(); }
    static std::array<const TypeShape*, 2> shapes() { return {&shape_of<Work>(), &shape_of<Result>()}; }

    static std::unique_ptr<IWork> decode(std::span<const std::byte> body, const ArchiveLimits& limits) {
        std::unique_ptr<Work> work{cereal::access::construct<Work>()};
        detail::decode(body, *work, limits);
        return work;
    }

    static bool encode(const IWork& work, ByteBuffer& body, const ArchiveLimits& limits) {
        return encode_value(static_cast<const Work&>(work), body, limits);
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

    /// Encodes the result. Returns what the serialization of the result throws, as if the work had thrown it. Throws
    /// the Error of our archive.
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

    static constexpr WorkOperations operations() {
        WorkOperations all;
        all.fingerprint = &fingerprint;
        all.shapes = &shapes;
        all.encode = &encode;
        all.decode = &decode;
        if constexpr (coroutine_work<Work>) all.execute_async = &execute_async;
        else all.execute = &execute;
        if constexpr (overrides_execute_return<Work>) all.execute_return = &execute_return;
        return all;
    }
};

/// Adds a work class to the registry when an object of this class is constructed.
template <class Work>
struct Registration {
    explicit Registration(const char* name, const char* header_line = "") {
        static constexpr WorkOperations operations = WorkFunctions<Work>::operations();
        registered_type<Work> = &Registry::instance().add(typeid(Work), operations, name, header_line);
    }
};

/// Binds a class to our two archives only; CEREAL_BIND_TO_ARCHIVES binds it to all that were included.
template <class Work>
struct WireBinding {
    WireBinding() {
        using namespace cereal::detail;
        create_bindings<WireOutputArchive, Work>::save(std::true_type{});
        create_bindings<WireInputArchive, Work>::load(std::true_type{});
    }
};

}  // namespace distwork::detail
