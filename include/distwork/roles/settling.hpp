#pragma once

#include <atomic>
#include <cstddef>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// Exists from before works are removed from the container until their outcomes are counted. A drain that finds the
/// container quiet must wait for that, too: see Scheduler::is_quiet.
class Settling {
public:
    explicit Settling(std::atomic<std::size_t>& count) noexcept : count_{count} { ++count_; }
    Settling(const Settling&) = delete;
    ~Settling() { --count_; }

private:
    std::atomic<std::size_t>& count_;
};

}  // namespace distwork::detail
