#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "distwork/archive/codec.hpp"
#include "distwork/base/type_name.hpp"
#include "distwork/calls/call.hpp"
#include "distwork/calls/typed_call.hpp"
#include "distwork/error.hpp"
#include "distwork/types/registry.hpp"
#include "support/call_works.hpp"
#include "support/fake_peer.hpp"

// Calls that no session carries, and how they ended.

namespace support {

using namespace distwork;
using namespace distwork::detail;

/// A type of which nothing is registered; its works have bodies of zeros.
inline const WorkType& plain_type(std::size_t number) {
    static const std::vector<WorkType> types = [] {
        std::vector<WorkType> all(3);
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i].name = std::string{"plain "} + std::to_string(i);
            all[i].registry = &Registry::instance();
            all[i].number = static_cast<std::uint16_t>(i);
            all[i].fingerprint = [] { return std::uint64_t{1}; };
        }
        return all;
    }();
    return types.at(number);
}

/// A call without a caller.
class PlainCall final : public Call {
public:
    explicit PlainCall(std::size_t bytes = 3, std::size_t type_number = 0) : Call{plain_type(type_number)} {
        const auto body = std::make_shared<std::vector<std::byte>>(bytes, std::byte{7});
        bytes_ = body->data();
        set_body({*body, body});
    }
    const IWork& work() const noexcept override { return work_; }
    void succeed(std::span<const std::byte>, const std::shared_ptr<Peer>&) noexcept override {}
    void fail(std::exception_ptr) noexcept override {}
    void deliver(std::shared_ptr<Call>) override {}
    const std::byte* bytes() const { return bytes_; }
    std::chrono::milliseconds execution_timeout() const noexcept override { return timeout; }

    std::chrono::milliseconds timeout{};

private:
    calls::Silent work_;
    const std::byte* bytes_ = nullptr;
};

inline std::shared_ptr<PlainCall> plain(std::size_t bytes = 3, std::size_t type_number = 0) {
    return std::make_shared<PlainCall>(bytes, type_number);
}

inline Errc code_of(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const Error& thrown) {
        return static_cast<Errc>(thrown.code().value());
    } catch (...) {
    }
    return {};
}

inline std::string text_of(const std::exception_ptr& error) {
    return error ? detail::describe(error).text : "";
}

/// How a call ended, as its handler was told.
template <class R>
struct Ended {
    int times = 0;
    std::exception_ptr error;
    R value{};
};

struct Calls {
    asio::io_context io;
    asio::any_io_executor executor = io.get_executor();
    std::shared_ptr<FakePeer> peer = std::make_shared<FakePeer>(io.get_executor(), "far away");

    template <class Work, class Handler>
    auto make(Work work, Handler handler) {
        return std::make_shared<detail::TypedCall<Call, Work, Handler>>(std::move(work), handler, executor, executor);
    }

    std::size_t run() {
        io.restart();
        return io.run();
    }
};

inline std::vector<std::byte> encoded(int value) {
    ByteBuffer body;
    detail::encode_value(value, body, {});
    return {body.view().begin(), body.view().end()};
}

}  // namespace support
