#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../archive/codec.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "../function_work.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"
#include "group_core.hpp"
#include "group_flow.hpp"
#include "map_chunk.hpp"
#include "stored_works.hpp"
#include "value_store.hpp"

namespace distwork::detail {

/// Elements of a map whose values were not found. They are submitted when there is room, one chunk after the other.
template <auto F, class Core>
class MissingElements final : public Addition, public std::enable_shared_from_this<MissingElements<F, Core>> {
    using Chunk = MapChunk<F, Core>;

public:
    MissingElements(std::shared_ptr<Core> core, std::shared_ptr<MapPlan> plan, typename Chunk::Elements elements,
                    std::size_t bytes)
        : core_{std::move(core)}, plan_{std::move(plan)}, elements_{std::move(elements)}, bytes_{bytes} {}

    void begin() noexcept override {
        const std::size_t before = elements_.size();
        auto error = exception_of([&] { Chunk::submit(core_, plan_, elements_); });
        if (error) return tell(error), no_longer(elements_.size());
        no_longer(before - elements_.size());
        // Whoever cancels the group may call `fail` from here on.
        if (!elements_.empty()) core_->flow().add_missing(this->shared_from_this());
    }

    /// They are no works yet, so they have no outcomes.
    void fail(std::exception_ptr) noexcept override { no_longer(elements_.size()); }

private:
    void tell(const std::exception_ptr& error) noexcept {
        std::vector<MapResult<typename FunctionWork<F>::result_type>> results;
        for (const auto& element : elements_) add_result(results, element.index).error = error;
        core_->take(nullptr, results, {});
    }

    void no_longer(std::size_t elements) noexcept {
        core_->flow().looked_for(elements, std::exchange(bytes_, std::size_t{0}));
    }

    const std::shared_ptr<Core> core_;
    const std::shared_ptr<MapPlan> plan_;
    typename Chunk::Elements elements_;
    std::size_t bytes_;
};

/// Elements of a map whose values are looked for, in a group with a journal.
template <auto F, class Core>
class MapLookup final : public ValueStore::Request {
    using R = typename FunctionWork<F>::result_type;
    using Elements = typename MapChunk<F, Core>::Elements;
    using Results = std::vector<MapResult<R>>;

public:
    /// *Errors*: throws Error (needs_key), std::bad_alloc; then nothing is looked for.
    static void begin(const std::shared_ptr<Core>& core, const std::shared_ptr<MapPlan>& plan, Elements elements) {
        auto lookup = std::make_unique<MapLookup>(core, plan, std::move(elements));
        lookup->identify();
        core->flow().look_for(lookup->elements_.size(), lookup->bytes_);
        core->store()->find(std::move(lookup));
    }

    MapLookup(std::shared_ptr<Core> core, std::shared_ptr<MapPlan> plan, Elements elements)
        : core_{std::move(core)}, plan_{std::move(plan)}, elements_{std::move(elements)} {}

    void done(std::exception_ptr error) noexcept override {
        if (error) {
            core_->fail(std::move(error));
            return core_->flow().looked_for(elements_.size(), bytes_);
        }
        Results results;
        Elements missing;
        surely([&] { missing.reserve(elements_.size()); });
        surely([&] { results.reserve(elements_.size()); });
        for (std::size_t i = 0; i != elements_.size(); ++i) {
            MapResult<R> result;
            result.index = elements_[i].index;
            if constexpr (std::is_void_v<R>) result.is_kept = values[i].is_kept;
            else result.is_kept = decode_kept(values[i], result.value.value, core_->flow().scheduler()->limits());
            if (result.is_kept) {
                results.push_back(std::move(result));
            } else {
                elements_[i].id = values[i].id;
                missing.push_back(std::move(elements_[i]));
            }
        }
        const bool is_any_missing = !missing.empty();
        if (is_any_missing)
            core_->flow().add_missing(surely(
                [&] { return std::make_shared<MissingElements<F, Core>>(core_, plan_, std::move(missing), bytes_); }));
        if (results.empty()) return;
        core_->take(nullptr, results, {});
        core_->flow().looked_for(results.size(), is_any_missing ? 0 : bytes_);
    }

private:
    /// Elements that do not encode have their outcome now.
    void identify() {
        const ArchiveLimits& limits = core_->flow().scheduler()->limits();
        const WorkType& type = work_type<FunctionWork<F>>();
        Results failed;
        ByteBuffer room;
        std::size_t kept = 0;
        for (auto& element : elements_) {
            room.clear();
            bool is_canonical = true;
            auto error = exception_of([&] {
                try {
                    is_canonical = encode_value(element.work, room, limits);
                } catch (const Error&) {
                    rethrow_naming(type.name + ": ");
                }
            });
            if (error) {
                add_result(failed, element.index).error = std::move(error);
                continue;
            }
            values.push_back({stored_id(core_->store()->hash_key(), type, {}, room.view(), is_canonical)});
            bytes_ += room.size();
            if (&element != &elements_[kept]) elements_[kept] = std::move(element);
            ++kept;
        }
        elements_.erase(elements_.begin() + static_cast<std::ptrdiff_t>(kept), elements_.end());
        if (!failed.empty()) core_->take(nullptr, failed, {});
    }

    const std::shared_ptr<Core> core_;
    const std::shared_ptr<MapPlan> plan_;
    Elements elements_;
    std::size_t bytes_ = 0;
};

}  // namespace distwork::detail
