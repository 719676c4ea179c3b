#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

#include "../calls/kept_work.hpp"
#include "../function_work.hpp"
#include "../roles/any_scheduler.hpp"
#include "../submit_options.hpp"
#include "../types/function_traits.hpp"
#include "chunk_size.hpp"
#include "lazy_works.hpp"
#include "map_chunk.hpp"
#include "map_lookup.hpp"

namespace distwork::detail {

/// The elements of a map, each the argument of a call of F, which become works when there is room for them: several
/// share a work while they are short.
template <auto F, class Core, class Elements>
class MapSource final : public LazyWorks {
    using Chunk = MapChunk<F, Core>;

public:
    MapSource(std::weak_ptr<Core> core, Elements elements, SubmitOptions options)
        : core_{std::move(core)},
          source_{std::move(elements)},
          plan_{std::make_shared<MapPlan>()},
          goes_alone_{goes_alone(options)} {
        plan_->options = std::move(options);
    }

    bool add_next() override {
        const auto core = core_.lock();
        if (!core) return false;
        // Elements that were taken before the range threw are submitted first.
        const std::size_t before = gathered_.size();
        if (!failure_) failure_ = exception_of([&] { gather(core->flow()); });
        std::size_t number = core->flow().take_numbers(gathered_.size() - before);
        for (std::size_t i = before; i != gathered_.size(); ++i) gathered_[i].index = number++;
        if (!gathered_.empty()) {
            if (!is_looked_up(*core)) Chunk::submit(core, plan_, gathered_);
            else if constexpr (has_store<Core>) MapLookup<F, Core>::begin(core, plan_, std::exchange(gathered_, {}));
            return true;
        }
        if (failure_) std::rethrow_exception(failure_);
        return false;
    }

private:
    /// Time limits, the promise to be executed at most once, and refusals are those of one element. A coroutine gives its
    /// slot free while it waits.
    static bool goes_alone(const SubmitOptions& options) {
        return traits_of<F>::is_coroutine || options.max_attempts() == 1 || options.execution_timeout().count() != 0 ||
               options.queue_timeout().count() != 0 || options.deadline().count() != 0 ||
               options.when_unavailable() == WhenUnavailable::refuse;
    }

    static bool is_looked_up(const Core& core) noexcept {
        if constexpr (has_store<Core>) return core.store() != nullptr;
        else return false;
    }

    /// Takes the elements of one work. Those of a slow range do not wait for each other.
    void gather(const GroupFlow& flow) {
        const AnyScheduler& scheduler = *flow.scheduler();
        const bool is_alone = goes_alone_ || flow.looks_for_stragglers() || scheduler.max_chunk_bytes() == 0;
        const std::size_t most = is_alone ? 1 : plan_->size.next();
        const auto until =
            most == 1 ? std::chrono::steady_clock::time_point::max() : scheduler.now() + ChunkSize::wanted;
        for (std::size_t until_look = 1; gathered_.size() < most && take_next();) {
            if (most == 1 || --until_look != 0) continue;
            if (scheduler.now() >= until) return;
            until_look = std::min<std::size_t>(gathered_.size(), 64);  // reading the clock costs as much as an element
        }
    }

    bool take_next() {
        if (is_at_end_) return false;
        is_at_end_ = !source_.next([&](auto&& element) {
            gathered_.push_back({0, {}, make_(std::forward<decltype(element)>(element))});
        });
        return !is_at_end_;
    }

    const std::weak_ptr<Core> core_;  // which owns this object
    Elements source_;
    const MakeCall<F> make_{};
    const std::shared_ptr<MapPlan> plan_;
    const bool goes_alone_;
    bool is_at_end_ = false;
    std::exception_ptr failure_;
    typename Chunk::Elements gathered_;
};

/// Adds elements (see elements_of) to a map. *Errors*: throws Error (unregistered_type, foreign_type;
/// bad_option; stopped: it is closed).
template <auto F, class Core, class Elements>
void add_elements(const std::shared_ptr<Core>& core, Elements elements, SubmitOptions options) {
    static_cast<void>(work_type<FunctionWork<F>>());
    check_no_key(options);
    using Source = MapSource<F, Core, Elements>;
    const std::size_t size = elements.size();
    core->flow().add(std::make_unique<Source>(core, std::move(elements), std::move(options)), size);
}

}  // namespace distwork::detail
