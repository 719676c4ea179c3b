#pragma once

#include "../base/requirements.hpp"

#include <utility>

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
    /// A Master or a Slave of a core, whose transport need not be that of the type.
    template <class Whole, class Core>
    static Whole of_core(Core core) {
        return Whole{std::move(core)};
    }
};

}  // namespace distwork::detail
