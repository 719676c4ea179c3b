#pragma once

#include "../base/requirements.hpp"

namespace distwork::detail {

/// The implementation of what users hold, for what is built on it.
struct PartsOf {
    /// Of a Master.
    template <class Master>
    static auto scheduler(const Master& master) {
        return master.scheduler_;
    }
    /// Of a Master, a Slave or a WorkGroup.
    template <class Whole>
    static auto core(const Whole& whole) {
        return whole.core_;
    }
};

}  // namespace distwork::detail
