#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../calls/typed_call.hpp"
#include "../context.hpp"
#include "../dispatch/submission.hpp"

namespace distwork::detail {

/// A distributed work whose caller waits only until the work is admitted.
template <class Handler>
class Distribution : public Submission {
public:
    using Submission::Submission;

    void on_admission(Handler& handler, const asio::any_io_executor& fallback) noexcept {
        completion_.emplace(std::move(handler), fallback);
    }

    void admitted() noexcept override { complete(nullptr); }

    bool take_refusal(std::exception_ptr& error) noexcept override { return complete(std::move(error)); }

private:
    bool complete(std::exception_ptr&& error) noexcept {
        if (done_.exchange(true)) return false;
        completion_->post(std::move(error));
        return true;
    }

    std::optional<Completion<Handler>> completion_;
    std::atomic<bool> done_{false};
};

}  // namespace distwork::detail
