#pragma once

#include "base/requirements.hpp"

#include <exception>
#include <stdexcept>

namespace distwork {

/// Marks an exception as not worth a retry: the work would throw it again on any slave. Derive your exception from it
/// as well, publicly and only once. A submission that asked for retries then fails at once.
struct NoRetry {
    virtual ~NoRetry() = default;
};

/// A std::runtime_error that is also a NoRetry.
class NoRetryError : public std::runtime_error, public NoRetry {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

inline bool is_no_retry(const std::exception_ptr& thrown) noexcept {
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
