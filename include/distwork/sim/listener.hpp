#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "endpoint.hpp"
#include "host.hpp"

namespace distwork::sim {

/// A listening socket of a process: accepts connections.
class Listener {
public:
    using Accept = std::unique_ptr<Operation<std::error_code, Endpoint*>>;

    Listener(Host& host, const Endpoint::Address& local) : local_address{local}, host_{host} {}

    const Endpoint::Address local_address;
    Host& host() noexcept { return host_; }
    bool is_open() const noexcept { return open_; }

    std::uint64_t accept(Accept operation) {
        accepting_ = std::move(operation);
        ++accepts_;
        if (!open_) cancel(accepts_);
        else serve();
        return accepts_;
    }

    void cancel(std::uint64_t number) {
        if (number == accepts_ && accepting_)
            host_.complete(std::move(accepting_), asio::error::operation_aborted, nullptr);
    }

    void push(Endpoint& endpoint) {
        waiting_.push_back(&endpoint);
        serve();
    }

    void close() {
        open_ = false;
        cancel(accepts_);
        for (Endpoint* const endpoint : waiting_) endpoint->close();
        waiting_.clear();
    }

    bool drop() { return std::exchange(accepting_, nullptr) != nullptr; }

private:
    void serve() {
        if (!accepting_ || waiting_.empty()) return;
        Endpoint* const first = waiting_.front();
        waiting_.pop_front();
        host_.complete(std::move(accepting_), std::error_code{}, first);
    }

    Host& host_;
    bool open_ = true;
    std::deque<Endpoint*> waiting_;
    Accept accepting_;
    std::uint64_t accepts_ = 0;
};

}  // namespace distwork::sim
