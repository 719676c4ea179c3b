#pragma once

#include "base/requirements.hpp"

#include <exception>
#include <stdexcept>

namespace distwork {

/// An exception that is not to be retried: the work would throw it again, wherever it goes. Derive your exception from
/// it as well, publicly and once; then a submission that asked for retries fails at once.
struct NoRetry {
    virtual ~NoRetry() = default;
};

/// The same, ready to be thrown.
class FinalError : public std::runtime_error, public NoRetry {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

inline bool is_not_to_be_retried(const std::exception_ptr& thrown) noexcept {
    try {
        std::rethrow_exception(thrown);
    } catch (const NoRetry&) {
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace detail
}  // namespace distwork
