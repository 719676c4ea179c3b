#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/type_name.hpp"
#include "../calls/typed_call.hpp"
#include "../context.hpp"
#include "../dispatch/submission.hpp"
#include "../log.hpp"

namespace distwork::detail {

/// The handler of a distributed work: it logs a failure, because no caller waits for the outcome.
struct ReportOutcome {
    Log log;

    void operator()(const std::exception_ptr& error) const {
        if (error && log) log(level_of_failure(error), "A distributed work did not succeed: " + what_of(error));
    }
    template <class R>
    void operator()(const std::exception_ptr& error, R&&) const {
        (*this)(error);
    }
};

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
